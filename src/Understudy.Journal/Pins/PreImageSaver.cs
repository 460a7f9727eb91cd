using System.Buffers;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;

namespace Understudy.Journal.Pins;

/// <summary>Fills the buffer, one block, with the verified content of the base.</summary>
internal delegate ValueTask ReadBlock(DiskId disk, long block, Memory<byte> buffer, CancellationToken cancellationToken);

/// <summary>
/// Saves base blocks for the pins of points that apply moves past, before they are overwritten (docs/formats/pins.md). A block
/// that is saved already is never saved again: what is in the base by then is newer. Used by one apply.
/// </summary>
internal sealed class PreImageSaver(IReadOnlyList<Pin> olderPins, RecordCodec codec, SafetyRules rules, Func<Pin, ValueTask<SegmentLog>> openPreImages)
{
    private readonly HashSet<Pin> _changed = [];

    /// <summary>A pin's file could not be written or flushed: the replica has to be opened anew before more is saved.</summary>
    public bool HasFault { get; private set; }

    /// <summary>
    /// Saves the block for each pin that can still see it in the base: a record newer than the pin's point touches it. A
    /// block touched only by records the pin's point has itself reads the same from base and journal together.
    /// </summary>
    public async ValueTask SaveAsync(
        DiskId disk, long block, ulong newestSequence, ReadBlock readOld, CancellationToken cancellationToken)
    {
        byte[]? content = null;
        try
        {
            foreach (Pin pin in olderPins)
            {
                if (newestSequence <= pin.Span.Through
                    || (rules.KeepFirstPreImage && await pin.HasPreImageAsync(disk, block, cancellationToken)))
                {
                    continue;
                }

                if (content is null)
                {
                    content = ArrayPool<byte>.Shared.Rent(BlockSize.Bytes);
                    await readOld(disk, block, content.AsMemory(0, BlockSize.Bytes), cancellationToken);
                }

                await AppendAsync(pin, disk, block, content.AsMemory(0, BlockSize.Bytes));
            }
        }
        finally
        {
            if (content is not null)
            {
                ArrayPool<byte>.Shared.Return(content);
            }
        }
    }

    /// <summary>Saves a block as the pin's own point has it, so that the records it came from are no longer needed.</summary>
    public ValueTask SaveOwnAsync(Pin pin, DiskId disk, long block, ReadOnlyMemory<byte> content) => AppendAsync(pin, disk, block, content);

    /// <summary>The fault that <see cref="SafetyRules.KeepFirstPreImage"/> keeps out.</summary>
    public async ValueTask SaveAgainAsync(DiskId disk, long block, ReadOnlyMemory<byte> content)
    {
        foreach (Pin pin in olderPins)
        {
            await AppendAsync(pin, disk, block, content);
        }

        await FlushAsync();
    }

    /// <summary>Makes what was saved durable, and visible to views before the base is changed.</summary>
    public async ValueTask FlushAsync()
    {
        foreach (Pin pin in olderPins)
        {
            if (_changed.Remove(pin))
            {
                await GuardAsync(pin.PreImages!.FlushAsync(CancellationToken.None).AsTask()); // Changed by AppendAsync, which made it.
                pin.Publish();
            }
        }
    }

    private async ValueTask AppendAsync(Pin pin, DiskId disk, long block, ReadOnlyMemory<byte> content)
    {
        SegmentLog saved = pin.PreImages ?? await openPreImages(pin);
        byte[] record = ArrayPool<byte>.Shared.Rent(RecordHeader.SizeBytes + BlockSize.Bytes);
        try
        {
            (RecordHeader header, int bytes) = Encode(pin.Point.Point.Id.Line, saved.ReceivedSequence + 1, disk, block, content.Span, record);
            await GuardAsync(saved.AppendAsync(header, record.AsMemory(0, bytes), CancellationToken.None).AsTask());
            _changed.Add(pin);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(record);
        }
    }

    private async ValueTask GuardAsync(Task writing)
    {
        try
        {
            await writing;
        }
        catch (StorageException e) when (e.Kind != FaultKind.Full)
        {
            HasFault = true;
            throw;
        }
    }

    private (RecordHeader Header, int Bytes) Encode(
        LineId line, ulong sequence, DiskId disk, long block, ReadOnlySpan<byte> content, Span<byte> target)
    {
        ByteRange range = RecordLimits.BlockRange(block);
        int bytes = ZeroScan.IsZero(content)
            ? RecordCodec.EncodeZero(line, sequence, disk, range, target)
            : codec.EncodeData(line, sequence, disk, range.OffsetBytes, content, target);
        Invariant.Check(RecordHeader.Read(target, out RecordHeader header) == RecordDefect.None, "what was just encoded can be read");
        return (header, bytes);
    }
}
