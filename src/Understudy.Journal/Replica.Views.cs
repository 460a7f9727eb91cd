using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Bases;
using Understudy.Journal.Manifests;
using Understudy.Journal.Pins;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;

namespace Understudy.Journal;

/// <summary>Views of points, and the pins that keep them readable.</summary>
public sealed partial class Replica
{
    private const string PinsFolder = "pins";

    /// <summary>
    /// Opens one disk of a point that is listed or pinned. The view stays right, whatever is applied or appended, until it
    /// is disposed; only a pin (<see cref="AddPinAsync"/>) outlives a restart.
    /// </summary>
    public async ValueTask<ReplicaView> OpenViewAsync(RecoveryPointId point, DiskId disk, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        if (_manifest.BaseStage == BaseStage.Released)
        {
            throw new StorageException(FaultKind.Denied, $"recovery point {point}", "the base belongs to the guest now: the failover was committed");
        }

        PointState state = FindPoint(point);
        DiskGeometry geometry = state.Geometry.OfPoint.Find(disk)
            ?? throw new StorageException(FaultKind.Missing, $"recovery point {point}", $"it has no disk {disk}");
        return await OpenViewAsync(state, geometry, cancellationToken);
    }

    /// <summary>
    /// Opens a disk as everything durable has it, be that a point or not; null when the replica has no such disk. For comparing
    /// with what the source has: never shown to anybody as a state of the VM.
    /// </summary>
    public async ValueTask<ReplicaView?> OpenNewestAsync(DiskId disk, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        RecoveryPointId newest = new(_manifest.Line, _log.FlushedSequence);
        if (_manifest.BaseStage != BaseStage.Open || IsDiverged(out _))
        {
            throw new StorageException(FaultKind.Denied, $"what is newest at {newest}", "a failover of this VM is not settled", "It can be compared again when the failover is cancelled or committed.");
        }

        if (_manifest.AwaitsSeed && Rules.CompareOnlyWithTheSeed)
        {
            throw new StorageException(FaultKind.Io, $"what is newest at {newest}", "the base is just getting its seed", "It can be compared when that has been read.");
        }

        if (_builder.InForce.Disks is not { } disks || disks.Find(disk) is not { } geometry)
        {
            return null;
        }

        RecoveryPoint unlisted = new(newest, PointKind.Crash, _env.Time.GetUtcNow(), "");
        PointState state = TryFindListed(newest) ?? new PointState(unlisted, Hidden: true, _builder.InForce, disks, default, null);
        return await OpenViewAsync(state, geometry, cancellationToken);
    }

    /// <summary>The caller holds the gate.</summary>
    private async ValueTask<ReplicaView> OpenViewAsync(PointState state, DiskGeometry geometry, CancellationToken cancellationToken)
    {
        Pin pin = _pins.Find(p => p.Point.Point.Id == state.Point.Id && (p.IsDurable || p.BaseSequence == _manifest.Applied.Sequence))
            ?? NewPin(new PinId(_env.Ids.NewGuid()), state);
        BaseDisk? baseDisk = pin.BaseGeometry?.Find(geometry.Disk) is { } inBase ? await GetBaseAsync(inBase, create: false, cancellationToken) : null;
        if (!_pins.Contains(pin))
        {
            _pins.Add(pin);
        }

        pin.Users++;
        PublishStatus();
        return new ReplicaView(pin, geometry, baseDisk, _records, _env.Settings, ReleaseViewAsync);
    }

    /// <summary>Keeps a listed point readable after apply has passed it, and after restarts, until the pin is removed.</summary>
    public async ValueTask<PinId> AddPinAsync(RecoveryPointId point, string reason, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        PointState state = FindListed(point);
        FileReference records = await KeepAsync(state, await ReadPointRecordsAsync(state, cancellationToken));

        // A view that is open already has seen the base of its day: the pin takes over what it holds.
        Pin pin = _pins.Find(p => p.Point.Point.Id == point && !p.IsDurable && p.PreImages is null && p.BaseSequence == _manifest.Applied.Sequence)
            ?? NewPin(new PinId(_env.Ids.NewGuid()), state);
        PinEntry entry = new(pin.Id, point, pin.BaseSequence, point.Sequence, _manifest.Applied.Records, records, HasPreImages: false, reason, _env.Time.GetUtcNow());
        bool isNew = !_pins.Contains(pin);
        pin.Entry = entry;
        try
        {
            await ChangeAsync(_manifest with { Pins = [.. _manifest.Pins, entry], Segments = PlanRuns(_manifest.Applied.Sequence, null, isNew ? [.. _pins, pin] : _pins) });
        }
        catch
        {
            pin.Entry = null;
            throw;
        }

        if (isNew)
        {
            _pins.Add(pin);
        }

        PublishStatus();
        return pin.Id;
    }

    /// <summary>Lets a pin go; views of its point that are open go on until they are closed. Unknown pins are let go already.</summary>
    public async ValueTask RemovePinAsync(PinId id, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        if (_pins.Find(p => p.IsDurable && p.Id == id) is not { Entry: { } entry } pin)
        {
            return;
        }

        pin.Entry = null;
        try
        {
            await ChangeAsync(_manifest with
            {
                Pins = [.. _manifest.Pins.Where(p => p.Id != id)],
                Segments = PlanRuns(_manifest.Applied.Sequence, null),
            });
        }
        catch
        {
            pin.Entry = entry;
            throw;
        }

        await ForgetKeptAsync(entry.Records);
        await ForgetKeptAsync(entry.BaseRecords);
        await ReleaseIfUnusedAsync(pin);
        PublishStatus();
    }

    private static string PreImagePrefix(PinId id) => $"{PinsFolder}/{id}-";

    private Pin NewPin(PinId id, PointState state)
    {
        ulong applied = _manifest.Applied.Sequence;
        Pin pin = new(id, state, new PinSpan(applied, state.Sequence, _baseGeometry));
        pin.Segments = [.. _log.Segments.Where(pin.Needs)];
        return pin;
    }

    /// <summary>Makes the log of a pin's pre-images; the manifest knows of it before anything relies on it.</summary>
    private async ValueTask<SegmentLog> OpenPreImagesAsync(Pin pin)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(CancellationToken.None);
        ThrowIfDead();
        SegmentLog saved = await SegmentLog.CreateAsync(LogOptions(_env, Id, PreImagePrefix(pin.Id)), 1, CancellationToken.None);
        if (pin.Entry is { } entry)
        {
            PinEntry noted = entry with { HasPreImages = true };
            await ChangeAsync(_manifest with { Pins = [.. _manifest.Pins.Select(p => p.Id == pin.Id ? noted : p)] });
        }

        pin.Use(saved);
        return saved;
    }

    private async ValueTask ReleaseViewAsync(Pin pin)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(CancellationToken.None);
        pin.Users--;
        if (!_isDead)
        {
            await ReleaseIfUnusedAsync(pin);
            PublishStatus();
        }
    }

    private async ValueTask ReleaseIfUnusedAsync(Pin pin)
    {
        if (pin.IsDurable || pin.Users > 0 || pin.IsBeingSaved)
        {
            return;
        }

        _pins.Remove(pin);
        if (pin.PreImages is { } saved)
        {
            await saved.DisposeAsync();
            await SegmentLog.DeleteFilesAsync(LogOptions(_env, Id, PreImagePrefix(pin.Id)), CancellationToken.None);
        }

        await DeleteUnneededAsync();
        await DeleteGoneDisksAsync(CancellationToken.None);
    }
}
