using System.Collections.Immutable;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal.Bases;
using Understudy.Journal.Manifests;
using Understudy.Journal.Pins;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;
using Understudy.Journal.Views;

namespace Understudy.Journal;

/// <summary>
/// The stand-in of one VM: base images plus a journal, recoverable at every point it lists, at every moment.
/// <para>
/// Methods may be called at the same time. State belongs to whoever holds <c>_gate</c>; a long apply holds only
/// <c>_applyGate</c> and takes the other for its short changes (always in this order). Views read beside both. Snapshots
/// (<see cref="Points"/>, <see cref="Status"/>) are immutable and replaced whole.
/// </para>
/// <para>
/// Failure policy: lack of space leaves everything as it was. Any other failed write or flush of the journal or the
/// manifest kills the replica object: every later change throws, and opening it anew recovers. A failed flush of a base
/// ends that apply; the next one opens the image anew and does the batch again. Cancellation is honoured before a step
/// begins, never in the middle of one.
/// </para>
/// </summary>
public sealed partial class Replica : IAsyncDisposable
{
    private const string JournalPrefix = "journal/";

    private readonly ReplicaEnvironment _env;
    private readonly AsyncGate _gate = new();
    private readonly AsyncGate _applyGate = new();
    private readonly CodecPool _codecs = new();
    private readonly RecordCodec _codec = new(); // Under _gate.
    private readonly PointBuilder _builder;
    private readonly RecordReader _records;
    private readonly List<PointState> _points = [];
    private readonly List<Pin> _pins = [];
    private readonly SortedDictionary<DiskId, BaseDisk> _bases = [];
    private readonly SegmentLog _log;
    private Manifest _manifest;
    private GeometryBody? _baseGeometry;
    private volatile ImmutableList<RecoveryPoint> _listed = [];
    private volatile ReplicaStatus _status = null!; // Set at the end of both ways to make a replica.
    private ulong _listedThrough;
    private CancellationTokenSource _lineEnds = new(); // Replaced under _gate; never disposed, it holds nothing and its readers come late.
    private readonly TaskCompletionSource _seedTaken = new(); // Whoever waits goes on where it was started, as at a gate.
    private bool _isDead;

    private Replica(ReplicaEnvironment env, Manifest manifest, SegmentLog log)
    {
        _env = env;
        _manifest = manifest;
        _log = log;
        _builder = new PointBuilder(_codec);
        _records = new RecordReader(_codecs);
    }

    public ReplicaId Id => _manifest.Replica;

    /// <summary>The only line from which records are accepted.</summary>
    public LineId Line => _status.Line;

    /// <summary>Cancelled when <see cref="Line"/> is no longer the current one, durably, or this object is closed. Take it
    /// before reading the line: then a change in between is seen.</summary>
    public CancellationToken LineEnds => Volatile.Read(ref _lineEnds).Token;

    /// <summary>The last record held.</summary>
    public ulong ReceivedSequence => _log.ReceivedSequence;

    /// <summary>The last record that is durable: what may be acknowledged.</summary>
    public ulong FlushedSequence => _log.FlushedSequence;

    /// <summary>The points that can be brought back, oldest first. Durable, all of them.</summary>
    public IReadOnlyList<RecoveryPoint> Points => _listed;

    public ReplicaStatus Status => _status;

    /// <summary>A write or flush has failed, so that nothing may be changed any more, or it has been closed: opening it anew
    /// recovers it. Views that are open read on until it is closed.</summary>
    public bool IsStopped => Volatile.Read(ref _isDead);

    private SafetyRules Rules => _env.Settings.Rules;

    /// <summary>Makes an empty replica in an empty folder. What an interrupted creation has left there is removed.</summary>
    public static async ValueTask<Replica> CreateAsync(ReplicaEnvironment env, NewReplica spec, CancellationToken cancellationToken)
    {
        env.Settings.Validate();
        ArgumentOutOfRangeException.ThrowIfEqual(spec.Line, LineId.None);
        if (await HasManifestAsync(env.Store, cancellationToken))
        {
            throw new StorageException(FaultKind.Exists, ManifestFile.Name, "there is a replica in this folder already", "Choose another folder, or remove that replica.");
        }

        await RefuseOrphansAsync(env.Store, cancellationToken);
        await DeleteAllFilesAsync(env.Store, cancellationToken);
        foreach (string folder in (string[])["journal", "base", KeptFolder, PinsFolder, DivergenceFolder])
        {
            await env.Store.CreateFolderAsync(folder, cancellationToken);
        }

        await ApplyLog.CreateAsync(env.Store, cancellationToken);

        // All names durable before the manifest's: a disk may keep the later of two and lose the earlier.
        await env.Store.FlushFolderAsync("", cancellationToken);
        ulong before = spec.Parent?.Sequence ?? 0;
        SegmentLog log = await SegmentLog.CreateAsync(LogOptions(env, spec.Id, JournalPrefix), before + 1, cancellationToken);
        Manifest manifest = new()
        {
            Replica = spec.Id,
            Vm = spec.Vm,
            CreatedAt = env.Time.GetUtcNow(),
            Line = spec.Line,
            Lines = [new LineHistory(spec.Line, spec.Parent, spec.MintedBy, env.Time.GetUtcNow())],
            Applied = new AppliedState(before, null, null),
            AwaitsSeed = spec.AwaitsSeed,
            Segments = [SegmentRun.Open(1, before + 1)],
        };
        try
        {
            await ManifestFile.WriteAsync(env.Store, manifest);
        }
        catch
        {
            await log.DisposeAsync();
            throw;
        }

        Replica replica = new(env, manifest, log);
        replica.Publish();
        Log.Created(env.Logger, spec.Id, spec.Vm, spec.Line);
        return replica;
    }

    /// <summary>Names of the point's disks and its definition.</summary>
    public async ValueTask<PointContents> GetPointAsync(RecoveryPointId point, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead(); // Its codec may be gone.
        PointState state = FindPoint(point);
        return new PointContents(state.Point, state.Geometry.OfPoint, _builder.ReadDefinition(state.InForce));
    }

    /// <summary>
    /// Keeps a word of the owner's own in the manifest: durable when this returns. At most 16 KiB. The commit of a failover
    /// notes the step it is about to take.
    /// </summary>
    public async ValueTask SetNoteAsync(string? note, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(note?.Length ?? 0, 16 * 1024, nameof(note));
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        await ChangeAsync(_manifest with { Note = note });
    }

    /// <summary>Closes all files. Open views stop working; what was not flushed was never promised.</summary>
    public async ValueTask DisposeAsync()
    {
        using AsyncGate.Pass applying = await _applyGate.EnterAsync(CancellationToken.None);
        using AsyncGate.Pass pass = await _gate.EnterAsync(CancellationToken.None);
        _isDead = true;
        foreach (BaseDisk disk in _bases.Values)
        {
            await disk.DisposeAsync();
        }

        _bases.Clear();
        foreach (Pin pin in _pins)
        {
            if (pin.PreImages is { } saved)
            {
                await saved.DisposeAsync();
            }
        }

        await _log.DisposeAsync();
        _codecs.Dispose();
        _codec.Dispose();
        _lineEnds.Cancel();
    }

    private static SegmentLogOptions LogOptions(ReplicaEnvironment env, ReplicaId replica, string prefix) => new()
    {
        Store = env.Store,
        Prefix = prefix,
        Replica = replica,
        Time = env.Time,
        Logger = env.Logger,
        Segments = env.Settings.Segments,
        OpenFiles = env.Settings.OpenSegments,
        Rules = env.Settings.Rules,
    };

    /// <summary>
    /// A replica's first segment comes after its manifest. So segments without a manifest are no interrupted creation: a
    /// manifest was lost, and whoever took the folder for empty would delete a replica.
    /// </summary>
    private static async ValueTask RefuseOrphansAsync(IFileStore store, CancellationToken cancellationToken)
    {
        IReadOnlyList<StoreEntry> files = await store.ListAsync("journal", cancellationToken);
        if (files.Any(f => SegmentHeader.TryParseName(JournalPrefix, f.Name, out _)))
        {
            throw new StorageException(FaultKind.Corrupt, ManifestFile.Name, "it is gone, but there are segments of a replica",
                "Bring the manifest back; docs/formats/README.md says how to read a replica by hand. To give it up, delete the folder.");
        }
    }

    /// <summary>Whether there is a replica, or what is left of one: then it is opened, not made.</summary>
    public static async ValueTask<bool> ExistsAsync(ReplicaEnvironment env, CancellationToken cancellationToken)
    {
        if (await HasManifestAsync(env.Store, cancellationToken))
        {
            return true;
        }

        await RefuseOrphansAsync(env.Store, cancellationToken);
        return false;
    }

    private static async ValueTask<bool> HasManifestAsync(IFileStore store, CancellationToken cancellationToken)
    {
        IReadOnlyList<StoreEntry> files = await store.ListAsync("", cancellationToken);
        return files.Any(f => f.Name == ManifestFile.Name);
    }

    /// <summary>Makes a new manifest the truth. The caller holds the gate.</summary>
    private async ValueTask ChangeAsync(Manifest next)
    {
        ThrowIfDead();
        try
        {
            await ManifestFile.WriteAsync(_env.Store, next);
        }
        catch (StorageException e) when (e.Kind != FaultKind.Full)
        {
            _isDead = true; // Old or new, nobody knows: opening anew tells.
            throw;
        }

        _manifest = next;
        foreach (Pin pin in _pins)
        {
            pin.Entry = next.Pins.FirstOrDefault(entry => entry.Id == pin.Id);
        }

        Publish();
    }

    /// <summary>Replaces the snapshots. The caller holds the gate.</summary>
    private void Publish()
    {
        ulong oldest = _manifest.Oldest?.Sequence ?? 0;
        ulong flushed = _log.FlushedSequence;
        _listed = [.. _points.Where(p => !p.Hidden && p.Sequence >= oldest && p.Sequence <= flushed).Select(p => p.Point)];
        _listedThrough = flushed;
        PublishStatus();
    }

    private void PublishStatus()
    {
        ImmutableList<RecoveryPoint> listed = _listed;
        _status = new ReplicaStatus
        {
            Id = _manifest.Replica,
            Vm = _manifest.Vm,
            Line = _manifest.Line,
            Lines = _manifest.Lines,
            ReceivedSequence = _log.ReceivedSequence,
            FlushedSequence = _log.FlushedSequence,
            AppliedSequence = _manifest.Applied.Sequence,
            ApplyingTo = _manifest.Applying?.To,
            Oldest = listed.Count > 0 ? listed[0] : null,
            Newest = listed.Count > 0 ? listed[^1] : null,
            PointCount = listed.Count,
            JournalBytes = _log.FileBytes,
            SegmentCount = _log.Segments.Length,
            PreImageBytes = _pins.Sum(p => p.PreImages?.FileBytes ?? 0),
            Pins = [.. _pins.Where(p => p.Entry is not null).Select(p =>
                new PinStatus(p.Id, p.Point.Point.Id, p.Entry!.Reason, p.Entry.CreatedAt, p.PreImages?.FileBytes ?? 0))],
            OpenViews = _pins.Sum(p => p.Users),
            AwaitsSeed = _manifest.AwaitsSeed,
            BaseStage = _manifest.BaseStage,
            Note = _manifest.Note,
            Divergence = [.. _manifest.Divergence.Select(d => new Divergence(d.Parent, d.Line, d.FirstSequence, d.LastSequence))],
        };
    }

    /// <summary>A point that can be read: listed, or kept by a durable pin.</summary>
    private PointState FindPoint(RecoveryPointId id) =>
        TryFindListed(id) ?? _pins.Find(p => p.IsDurable && p.Point.Point.Id == id)?.Point ?? throw NotListed(id);

    /// <summary>A point that history can go on from. One that only a pin keeps is no such point: the base is past it.</summary>
    private PointState FindListed(RecoveryPointId id) => TryFindListed(id) ?? throw NotListed(id);

    private PointState? TryFindListed(RecoveryPointId id)
    {
        ulong oldest = _manifest.Oldest?.Sequence ?? 0;
        return _points.Find(p => p.Point.Id == id && !p.Hidden && p.Sequence >= oldest && p.Sequence <= _log.FlushedSequence);
    }

    private static StorageException NotListed(RecoveryPointId id) =>
        new(FaultKind.Missing, $"recovery point {id}", "it is not listed (any more)", "Choose one of the points that are listed now.");

    private void ThrowIfDead()
    {
        if (_isDead)
        {
            throw new StorageException(FaultKind.Closed, $"replica {_manifest.Replica}", "closed, or stopped after a fault", "Open it anew: that recovers it.");
        }
    }
}
