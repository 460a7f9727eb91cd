using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal;
using Understudy.Protection.Durable;
using Understudy.Protection.Ownership;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Hosting;
using Understudy.Protection.Target.Mounts;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Target.Seeds;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Target;

/// <param name="Journal">The replica's own folder.</param>
/// <param name="State">This host's records about it, beside that folder.</param>
public sealed record ReplicaStores(IFileStore Journal, IFileStore State);

/// <summary>
/// One replica on this host with everything that stands on it: base images and their daemon, views and their server,
/// tests, failover and commit. Opening it puts back together what a killed agent left; <see cref="RunAsync"/> serves the
/// views and does the housekeeping. Orders may come at any time and from several callers; each run has a gate of its own.
/// </summary>
public sealed partial class ReplicaHost : IAsyncDisposable
{
    private readonly ReplicaContext _context;
    private readonly ReplicaStores _stores;
    private readonly TestRuns _tests;
    private readonly FailoverRuns _failover;
    private readonly MountRuns _mounts;
    private readonly PointExports _exports;
    private readonly SeedIntake _seed;
    private readonly HostLoop[] _loops;
    private ReplicaSpec _spec;

    private ReplicaHost(TargetServices services, ReplicaStores stores, ReplicaSpec spec)
    {
        ReplicaPlaces places = new(spec, services.Settings);
        ReplicaSlot slot = new();
        _spec = spec;
        _stores = stores;
        _context = new ReplicaContext(
            spec,
            places,
            stores.State,
            new BaseImages(places, services),
            slot,
            new PointPins(slot),
            new ViewServer(slot, services.Sockets, places.ViewSocket, services.Time, services.Logger),
            new RunDisks(places, services),
            services);
        _tests = new TestRuns(_context);
        _failover = new FailoverRuns(_context, _tests);
        _mounts = new MountRuns(_context);
        _exports = new PointExports(_context);
        _seed = new SeedIntake(_context);
        _loops = MakeLoops();
    }

    public ReplicaSpec Spec => _spec;

    public ReplicaHostStatus Status => new(
        _spec,
        _context.Slot.Shown?.Status,
        _context.Token.Record,
        _context.Token.Record.State is not OwnershipState.Here here || here.Boot == _context.Token.Boot,
        _tests.Current,
        _context.Branches.Current,
        _mounts.Current,
        _failover.Current,
        _seed.Status,
        _failover.Waiting,
        HostLoop.WorstOf(_loops),
        _context.IsLeaving);

    /// <summary>Oldest first; none once the base has become the VM's own disk.</summary>
    public IReadOnlyList<RecoveryPoint> Points => _context.Slot.Shown?.Points ?? [];

    /// <summary>Where the receiver puts records; null once the base has become the VM's own disk.</summary>
    public IReplicaSink? TryGetSink() => _context.Slot.TryGet() is { } replica ? new ReplicaSink(replica, _failover.DescribeLine, _seed.IsWanted) : null;

    /// <exception cref="RefusedException">The base has become the VM's own disk.</exception>
    public IReplicaSink Sink => new ReplicaSink(_context.Slot.Replica, _failover.DescribeLine, _seed.IsWanted);

    /// <summary>False while its storage has failed and it has not been opened anew.</summary>
    public bool IsWell => !_context.Slot.NeedsOpening;

    /// <summary>It comes back by itself: a source tries again.</summary>
    public bool IsReopening => _context.Slot.IsReopening;

    /// <summary>The base has become the VM's own disk: nothing is ever received here again.</summary>
    public bool IsClosed => _context.Slot.IsClosed;

    /// <summary>What a source is told that may not write here.</summary>
    public CurrentLine CurrentLine => _failover.DescribeLine();

    /// <summary>For the simulation's checkers, which read every point past everything that serves them.</summary>
    internal Replica? OpenReplica => _context.Slot.TryGet();

    /// <summary>Makes an empty replica; durable when this returns.</summary>
    public static async ValueTask<ReplicaHost> CreateAsync(TargetServices services, ReplicaStores stores, ReplicaSpec spec, CancellationToken cancellationToken)
    {
        await stores.State.CreateFolderAsync("", cancellationToken);
        await RunFiles.ReplicaDocument.SaveAsync(stores.State, RunFiles.Replica, spec, cancellationToken);
        ReplicaHost host = new(services, stores, spec);
        await host.RecoverOrCloseAsync(cancellationToken);
        return host;
    }

    /// <summary>Null when the store holds no replica (any more).</summary>
    public static async ValueTask<ReplicaHost?> OpenAsync(TargetServices services, ReplicaStores stores, CancellationToken cancellationToken)
    {
        if (await RunFiles.ReplicaDocument.LoadAsync(stores.State, RunFiles.Replica, cancellationToken) is not { } spec)
        {
            // It may have died while it was first written: what is left of that would pass for a replica that cannot be read.
            await DurableDocument<ReplicaSpec>.DeleteAsync(stores.State, RunFiles.Replica, cancellationToken);
            return null;
        }

        ReplicaHost host = new(services, stores, spec);
        if (spec.Removal != ReplicaRemoval.None)
        {
            await host._failover.LoadAsync(cancellationToken);
            await host.RemoveAsync([], isAsked: false, cancellationToken);
            return null;
        }

        await host.RecoverOrCloseAsync(cancellationToken);
        return host;
    }

    public ValueTask<PointContents> GetPointAsync(RecoveryPointId point, CancellationToken cancellationToken) =>
        TestRuns.GetPointAsync(_context.Slot.Replica, point, cancellationToken);

    /// <inheritdoc cref="TestRuns.StartAsync"/>
    public ValueTask<TestStarted> StartTestAsync(TestRequest request, CancellationToken cancellationToken) => _tests.StartAsync(request, cancellationToken);

    /// <inheritdoc cref="TestRuns.CompleteAsync"/>
    public ValueTask<RemovedThings> CompleteTestAsync(Guid test, string? note, CancellationToken cancellationToken) =>
        _tests.CompleteAsync(test, note, cancellationToken);

    /// <inheritdoc cref="FailoverRuns.StartAsync"/>
    public ValueTask<FailoverStarted> StartFailoverAsync(FailoverRequest request, CancellationToken cancellationToken) =>
        _failover.StartAsync(request, cancellationToken);

    /// <inheritdoc cref="FailoverRuns.ChangePointAsync"/>
    public ValueTask<FailoverStarted> ChangePointAsync(ChangePointOrder order, CancellationToken cancellationToken) =>
        _failover.ChangePointAsync(order, cancellationToken);

    /// <inheritdoc cref="FailoverRuns.CancelAsync"/>
    public ValueTask<FailoverCancelled> CancelAsync(CancelOrder order, CancellationToken cancellationToken) => _failover.CancelAsync(order, cancellationToken);

    /// <inheritdoc cref="FailoverRuns.RefuseAsync"/>
    public ValueTask RefuseTransferAsync(TransferId transfer, CancellationToken cancellationToken) => _failover.RefuseAsync(transfer, cancellationToken);

    /// <inheritdoc cref="FailoverRuns.SettleAsync"/>
    public ValueTask SettleTransferAsync(TransferId transfer, CancellationToken cancellationToken) => _failover.SettleAsync(transfer, cancellationToken);

    /// <inheritdoc cref="FailoverRuns.HeardAsync"/>
    public ValueTask HeardAsync(LineId line, CancellationToken cancellationToken) => _failover.HeardAsync(line, cancellationToken);

    /// <inheritdoc cref="FailoverRuns.RevalidateAsync"/>
    public ValueTask RevalidateAsync(LineId newest, bool valid, CancellationToken cancellationToken) => _failover.RevalidateAsync(newest, valid, cancellationToken);

    /// <inheritdoc cref="FailoverRuns.ClaimAsync"/>
    public ValueTask<LineId> ClaimAsync(bool start, CancellationToken cancellationToken) => _failover.ClaimAsync(start, cancellationToken);

    /// <inheritdoc cref="MountRuns.MountAsync"/>
    public ValueTask<MountRecord> MountAsync(MountOrder order, CancellationToken cancellationToken) => _mounts.MountAsync(order, cancellationToken);

    /// <inheritdoc cref="MountRuns.RemoveAsync"/>
    public ValueTask<RemovedThings> UnmountAsync(Guid mount, CancellationToken cancellationToken) => _mounts.RemoveAsync(mount, cancellationToken);

    /// <inheritdoc cref="BranchKeeper.DeleteAsync"/>
    public ValueTask<RemovedThings> DeleteBranchAsync(BranchId branch, CancellationToken cancellationToken) => _context.Branches.DeleteAsync(branch, cancellationToken);

    /// <inheritdoc cref="FailoverRuns.CommitAsync"/>
    public ValueTask<CommitOutcome> CommitAsync(CancellationToken cancellationToken) => _failover.CommitAsync(cancellationToken);

    /// <inheritdoc cref="PointExports.RunAsync(RecoveryPointId, string, string, CancellationToken)"/>
    public ValueTask<IReadOnlyList<string>> ExportPointAsync(RecoveryPointId point, string folder, string format, CancellationToken cancellationToken) =>
        _exports.RunAsync(point, folder, format, cancellationToken);

    /// <inheritdoc cref="PointExports.RunAsync(BranchId, string, string, CancellationToken)"/>
    public ValueTask<IReadOnlyList<string>> ExportBranchAsync(BranchId branch, string folder, string format, CancellationToken cancellationToken) =>
        _exports.RunAsync(branch, folder, format, cancellationToken);

    public async ValueTask ConfigureAsync(TimeSpan retention, CancellationToken cancellationToken)
    {
        ReplicaSpec changed = _spec with { Retention = retention };
        await RunFiles.ReplicaDocument.SaveAsync(_stores.State, RunFiles.Replica, changed, cancellationToken);
        _spec = changed;
    }

    /// <inheritdoc cref="FailoverRuns.StartsAfter"/>
    public TimeSpan? GuardStartsAfter
    {
        set => _failover.StartsAfter = value;
    }

    /// <summary>Writes the guard's part again: what it is told beside the record has changed.</summary>
    public ValueTask PublishGuardAsync(CancellationToken cancellationToken) => _context.Token.PublishAsync(cancellationToken);

    public ValueTask DisposeAsync() => _context.Slot.CloseAsync();

    /// <summary>A host that nobody gets must not keep the journal's files open.</summary>
    private async ValueTask RecoverOrCloseAsync(CancellationToken cancellationToken)
    {
        try
        {
            await RecoverAsync(cancellationToken);
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    /// <summary>The order matters: the failover's record decides whether the base may be opened, and how.</summary>
    private async ValueTask RecoverAsync(CancellationToken cancellationToken)
    {
        await BeginTokenAsync(cancellationToken);
        await _seed.LoadAsync(cancellationToken);
        await _failover.LoadAsync(cancellationToken);
        BaseAccess access = FailoverSteps.Rule(_failover.Current?.Step ?? FailoverStep.Preparing).Base;
        if (access == BaseAccess.None)
        {
            await _context.Bases.ChangeAccessAsync(BaseAccess.None, cancellationToken);
        }
        else
        {
            await OpenReplicaAsync(access, mayMake: true, cancellationToken);
        }

        await _context.Branches.RecoverAsync(cancellationToken);
        await _mounts.LoadAsync(cancellationToken);
        await _failover.RecoverAsync(cancellationToken);
        await _tests.RecoverAsync(cancellationToken);
        await _mounts.RecoverAsync(cancellationToken);
        await _context.Pins.RemoveOthersAsync(
            [
                .. _tests.Current.Select(test => test.Id),
                .. _context.Branches.Current.Select(status => status.Branch.Id.Value),
                .. _mounts.Current.Select(mount => mount.Id),
            ],
            cancellationToken);
    }

    /// <summary>As the protection begins, the VM is its source's.</summary>
    private async ValueTask BeginTokenAsync(CancellationToken cancellationToken) => _context.Token = await OwnershipToken.BeginAsync(
        _context.Services.Ownership,
        _stores.State,
        OwnershipRules.Begin(
            _spec.Vm, _spec.TargetName, _spec.Replica, _spec.Source, _spec.FirstLine, disks: [], new OwnershipState.Elsewhere(), _context.Services.Time.GetUtcNow()),
        cancellationToken);

    /// <param name="mayMake">Only when the agent starts: one that was open a moment ago and is not found has lost its storage, and is not begun anew.</param>
    private async ValueTask OpenReplicaAsync(BaseAccess access, bool mayMake, CancellationToken cancellationToken)
    {
        if (access != BaseAccess.ReadWrite)
        {
            await _context.Bases.ChangeAccessAsync(access, cancellationToken);
        }

        ReplicaEnvironment environment = JournalEnvironment();
        if (mayMake && _failover.Current is null && !await Replica.ExistsAsync(environment, cancellationToken))
        {
            // Made just now, or the agent died between the order to make it and its making.
            NewReplica made = new(_spec.Replica, _spec.Vm, _spec.FirstLine, "protection", AwaitsSeed: _seed.IsWanted);
            _context.Slot.Put(await Replica.CreateAsync(environment, made, cancellationToken));
            return;
        }

        _context.Slot.Put(await Replica.OpenAsync(environment, cancellationToken));
    }

    private ReplicaEnvironment JournalEnvironment() => new(
        _stores.Journal, _context.Bases, _context.Services.Time, _context.Services.Ids, _context.Services.Settings.Journal, _context.Logger);
}
