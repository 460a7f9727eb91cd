using System.Buffers;
using System.Collections.Immutable;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Bases;
using Understudy.Journal.Manifests;
using Understudy.Journal.Pins;
using Understudy.Journal.Records;
using Understudy.Journal.Views;

namespace Understudy.Journal;

/// <summary>
/// Dropping the newest records, although pins and open views may still show them. What such a pin needs is saved in its own
/// file first, block by block, as its point has it; from then on it stands on the base and that file, and goes on when the
/// journal continues differently (docs/formats/pins.md).
/// </summary>
public sealed partial class Replica
{
    /// <summary>
    /// Drops every record after a listed point. What they had touched is durable as divergence before anything is gone, and
    /// so is what pins and open views of later points need of it: those stay readable. Cancellation is honoured before
    /// anything is dropped; what has been saved by then is not saved again.
    /// </summary>
    public async ValueTask<DropOutcome> DropAfterAsync(RecoveryPointId point, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass applying = await _applyGate.EnterAsync(cancellationToken);
        while (true)
        {
            Pin user;
            ulong after;
            using (AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken))
            {
                ThrowIfDead();
                PointState state = FindListed(point);
                if (_log.ReceivedSequence <= state.Sequence)
                {
                    return new DropOutcome.NothingToDo();
                }

                if (_pins.Find(p => p.Span.Through > state.Sequence && p.SavedAfter != SaveAfter(p, state)) is not { } next)
                {
                    return await DropWithPinsAsync(state, cancellationToken);
                }

                user = next;
                user.IsBeingSaved = true;
                after = SaveAfter(user, state);
            }

            await SaveOwnBlocksAsync(user, after, cancellationToken);
        }
    }

    /// <summary>
    /// Everything the pin's journal has must be saved, unless the base has moved to the point of the cut and nobody reads
    /// the pin: then it can be put on that base, and only what comes after the cut is. (A view that is open keeps to
    /// the base it was opened on.)
    /// </summary>
    private ulong SaveAfter(Pin pin, PointState cut) =>
        pin.Users == 0 && _manifest.Applied.Sequence == cut.Sequence && _manifest.Applying is null ? cut.Sequence : pin.Span.Base;

    private async ValueTask<DropOutcome> DropWithPinsAsync(PointState point, CancellationToken cancellationToken)
    {
        ulong last = _log.ReceivedSequence;
        Pin[] cut = [.. _pins.Where(p => p.Span.Through > point.Sequence)];
        PinSpan[] before = [.. cut.Select(p => p.Span)];
        await SealAsync(cancellationToken);
        List<PinEntry> entries = [.. _manifest.Pins];
        foreach (Pin pin in cut)
        {
            bool onNewBase = pin.SavedAfter == _manifest.Applied.Sequence;
            pin.Span = onNewBase
                ? new PinSpan(_manifest.Applied.Sequence, _manifest.Applied.Sequence, _baseGeometry)
                : pin.Span with { Through = pin.Span.Base };
            if (pin.Entry is { } entry)
            {
                entries[entries.FindIndex(e => e.Id == pin.Id)] = entry with
                {
                    Base = pin.Span.Base,
                    Through = pin.Span.Through,
                    BaseRecords = onNewBase ? _manifest.Applied.Records : entry.BaseRecords,
                };
            }
        }

        Manifest standing = _manifest;
        try
        {
            await DropLockedAsync(point, _manifest with { Pins = entries }, cut, cancellationToken);
        }
        catch when (ReferenceEquals(_manifest, standing))
        {
            for (int i = 0; i < cut.Length; i++)
            {
                cut[i].Span = before[i]; // The old manifest stands, and with it the journal that they show.
            }

            throw;
        }

        return new DropOutcome.Dropped(point.Sequence + 1, last);
    }

    /// <summary>Saves the content of each block that the pin's records after <paramref name="after"/> touch. The caller has
    /// marked the pin as being saved and holds the apply gate; views read meanwhile.</summary>
    private async ValueTask SaveOwnBlocksAsync(Pin pin, ulong after, CancellationToken cancellationToken)
    {
        RecordCodec codec = _codecs.Rent();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BlockSize.Bytes);
        PreImageSaver saver = new([pin], codec, Rules, OpenPreImagesAsync);
        try
        {
            foreach (DiskGeometry disk in pin.Point.Geometry.Disks)
            {
                await using ReplicaView view = await OpenOwnViewAsync(pin, disk, cancellationToken);
                await SaveOwnBlocksAsync(pin, after, saver, view, buffer.AsMemory(0, BlockSize.Bytes), cancellationToken);
            }

            await saver.FlushAsync();
            pin.SavedAfter = after; // Read under the gate, and changed by this alone: drops take turns at the apply gate.
        }
        finally
        {
            _isDead |= saver.HasFault;
            ArrayPool<byte>.Shared.Return(buffer);
            _codecs.Return(codec);
            await LetGoOfPinsAsync([pin]);
        }
    }

    private async ValueTask SaveOwnBlocksAsync(
        Pin pin, ulong after, PreImageSaver saver, ReplicaView view, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ImmutableArray<Layer> journal = [new Layer(pin.Segments, after, pin.Span.Through)];
        long regionBytes = _env.Settings.RegionBytes;
        for (long start = 0; start < view.SizeBytes; start += regionBytes)
        {
            ByteRange region = ByteRange.FromTo(start, Math.Min(view.SizeBytes, start + regionBytes));
            RegionMap map = await RegionMap.ResolveAsync(journal, view.Disk.Disk, region, cancellationToken);
            for (long block = start / BlockSize.Bytes; !map.IsEmpty && block < BlockSize.CountFor(region.EndBytes); block++)
            {
                ByteRange range = RecordLimits.BlockRange(block);
                if (!BlockComposer.Cover(map, range, view.SizeBytes).IsTouched || await pin.HasPreImageAsync(view.Disk.Disk, block, cancellationToken))
                {
                    continue;
                }

                buffer.Span.Clear(); // Behind the disk's end.
                await view.ReadAsync(range.OffsetBytes, buffer[..(int)Math.Min(BlockSize.Bytes, view.SizeBytes - range.OffsetBytes)], cancellationToken);
                await saver.SaveOwnAsync(pin, view.Disk.Disk, block, buffer);
            }
        }
    }

    /// <summary>A view that does not count as a user: its owner has marked the pin as being saved.</summary>
    private async ValueTask<ReplicaView> OpenOwnViewAsync(Pin pin, DiskGeometry disk, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        BaseDisk? baseDisk = pin.BaseGeometry?.Find(disk.Disk) is { } inBase ? await GetBaseAsync(inBase, create: false, cancellationToken) : null;
        return new ReplicaView(pin, disk, baseDisk, _records, _env.Settings, static _ => ValueTask.CompletedTask);
    }
}
