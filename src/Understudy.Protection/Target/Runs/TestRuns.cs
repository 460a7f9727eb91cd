using System.Runtime.ExceptionServices;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Definition;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target.Runs;

/// <summary>
/// The test failovers of one replica (TST-1, TST-2). A test's file is durable before its first effect and goes after its
/// last trace; a test that was being made when the agent died is removed, one that ran goes on. Tests are changed under
/// one gate; starting one takes about a second and never touches the replica's data.
/// </summary>
internal sealed partial class TestRuns(ReplicaContext context)
{
    private readonly AsyncGate _gate = new();
    private readonly SortedDictionary<Guid, TestRecord> _tests = [];

    /// <summary>A snapshot, in the order of their ids.</summary>
    public IReadOnlyList<TestRecord> Current { get; private set; } = [];

    /// <summary>After a restart: finished tests go on, unfinished ones are removed, now or by the watch: the replica, and its
    /// source, wait for none of them.</summary>
    public async ValueTask RecoverAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        foreach (TestRecord test in await RunFiles.TestDocument.LoadAllAsync(context.State, RunFiles.TestFolder, cancellationToken))
        {
            Put(test);
            await ReserveAgainAsync(test, cancellationToken);
        }

        // Those that stand first: what is removed lets go of a branch that another may stand on.
        foreach (TestRecord test in Current.Where(test => test.Step is TestStep.Running or TestStep.Promoting))
        {
            // Its daemon lives, or is started again by the watch once views are served.
            await HoldAsync(test, serve: false, cancellationToken);
        }

        foreach (TestRecord test in Current.Where(test => test.Step is TestStep.Making or TestStep.Removing))
        {
            Log.TestLeftOver(context.Logger, context.Vm, test.Id);
            await TryRemoveAsync(test, cancellationToken);
        }
    }

    /// <summary>What was being made when this was called stands, or has come to nothing, when it returns.</summary>
    public async ValueTask DrainAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
    }

    /// <summary>Refuses when the point is not listed or the name or network cannot be had; then nothing was changed.</summary>
    public async ValueTask<TestStarted> StartAsync(TestRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (_tests.TryGetValue(request.Id, out TestRecord? known))
        {
            if (known.Step == TestStep.Running)
            {
                return Describe(known, []);
            }

            await RemoveAsync(known, cancellationToken); // The attempt before this one failed half way.
        }

        context.RequireStays();

        PointContents contents = request.Branch is { } branch
            ? await context.Slot.Replica.GetPointAsync(context.Branches.Find(branch).Point, cancellationToken)
            : await GetPointAsync(context.Slot.Replica, request.Point, cancellationToken);
        TestRecord test = await PlanAsync(request, contents, cancellationToken);
        try
        {
            TransformedDomain domain = await TransformAsync(test, request, contents, cancellationToken);
            await SaveAsync(test, cancellationToken);
            await MakeAsync(test, domain, cancellationToken);
            await SaveAsync(test = test with { Step = TestStep.Running }, cancellationToken);
            Log.TestRuns(context.Logger, context.Vm, test.Id, test.Point.ToString(), test.VmName);
            return Describe(test, domain.Notes);
        }
        catch
        {
            // Also when the caller gave up: what was made must not stay. The file is the last thing to go, and what cannot
            // be removed now goes with the watch; the caller hears why there is no test.
            await TryRemoveAsync(test, CancellationToken.None);
            throw;
        }
    }

    /// <summary>Looks after the guests of all tests, and removes what could not be removed before, whatever becomes of one of them; throws the first fault at the end.</summary>
    public async Task WatchAsync(GuestWatch watch, CancellationToken cancellationToken)
    {
        ExceptionDispatchInfo? first = null;
        foreach (TestRecord test in Current)
        {
            try
            {
                await WatchAsync(test.Id, watch, cancellationToken);
            }
            catch (Exception fault) when (fault is not InvariantException && !cancellationToken.IsCancellationRequested)
            {
                Log.TriedAgain(context.Logger, context.Vm, $"looking after test {test.VmName}", fault.Message);
                first ??= ExceptionDispatchInfo.Capture(fault);
            }
        }

        first?.Throw();
    }

    /// <summary>Under the gate, and looked up anew: a watcher must not start again what has been removed.</summary>
    private async ValueTask WatchAsync(Guid id, GuestWatch watch, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (!_tests.TryGetValue(id, out TestRecord? test))
        {
            return;
        }

        if (test.Step is TestStep.Making or TestStep.Removing)
        {
            await RemoveAsync(test, cancellationToken); // Whoever makes one has the gate: this one was left behind.
        }
        else if (test.Step == TestStep.Running)
        {
            await watch.TendAsync(WatchedOf(test), cancellationToken);
        }
    }

    /// <summary>Removes all that the test made. A test that is gone already is fine.</summary>
    public async ValueTask<RemovedThings> CompleteAsync(Guid id, string? note, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (!_tests.TryGetValue(id, out TestRecord? test))
        {
            return RemovedThings.Nothing;
        }

        if (test.Step == TestStep.Promoting)
        {
            throw new RefusedException(RefusalCode.Busy, $"Test {test.VmName} is being turned into a failover.", "Wait for that; it goes on by itself.");
        }

        await SaveAsync(test = test with { Note = note }, cancellationToken);
        IReadOnlyList<string> gone = Describe(test, []).Made;
        await RemoveAsync(test, cancellationToken);
        Log.TestRemoved(context.Logger, context.Vm, id);
        return new RemovedThings(gone, []);
    }

    internal static async ValueTask<PointContents> GetPointAsync(Replica replica, RecoveryPointId point, CancellationToken cancellationToken) =>
        replica.Points.Any(listed => listed.Id == point)
            ? await replica.GetPointAsync(point, cancellationToken)
            : throw new RefusedException(RefusalCode.NoSuchPoint, $"There is no recovery point {point}; it may have left the retention window.", "See understudy point list.");

    private async ValueTask<TestRecord> PlanAsync(TestRequest request, PointContents contents, CancellationToken cancellationToken)
    {
        HashSet<string> taken = [.. (await context.Services.Hypervisor.ListVmsAsync(cancellationToken)).Select(vm => vm.Name)];
        string wanted = VmNames.Propose(request.VmName);
        bool needsBubble = request.Network == TestNetworkKind.Bubble
            || request.Cards.Any(card => card.InBubble);
        return new TestRecord(
            request.Id,
            contents.Point.Id,
            request.Branch,
            new VmId(context.Services.Ids.NewGuid()),
            taken.Contains(wanted) ? VmNames.NextForTest(context.Spec.TargetName, taken) : wanted,
            request.Network,
            needsBubble ? await context.Services.Bubbles.TakeAsync(cancellationToken) : null,
            [.. contents.Geometry.Disks.Select(disk => new RunDisk(disk.Disk, disk.Target, context.Places.TestOverlay(request.Id, disk.Target)))],
            context.Services.Time.GetUtcNow(),
            TestStep.Making,
            request.Label);
    }

    private async ValueTask<TransformedDomain> TransformAsync(TestRecord test, TestRequest request, PointContents contents, CancellationToken cancellationToken)
    {
        string definition = contents.DefinitionXml ?? throw DomainTransformer.Unreadable("the source has sent none yet");
        HostFacts host = await context.Services.Hypervisor.GetHostAsync(cancellationToken);
        return DomainTransformer.Transform(definition, new DomainTransform(
            TransformKind.Test,
            test.VmName,
            test.TestVm,
            test.Disks.ToDictionary(disk => disk.TargetDevice, disk => new DiskImage(disk.Overlay, "qcow2")),
            Placement(test, request),
            context.Places.LogFolder(test.VmName),
            new TargetCapabilities(host.HardwareAcceleration),
            request.Size));
    }

    private NetworkPlacement.Planned Placement(TestRecord test, TestRequest request)
    {
        string? bubble = BubbleOf(test)?.Name;
        NetworkPlacement? rest = test.Network switch
        {
            TestNetworkKind.None => new NetworkPlacement.None(),
            TestNetworkKind.Bubble => new NetworkPlacement.All(bubble!), // Not null: PlanAsync took a number for it.
            TestNetworkKind.Chosen => null,
            _ => throw new System.Diagnostics.UnreachableException(),
        };
        return new NetworkPlacement.Planned([.. request.Cards.Select(card => PlanOf(card, bubble))], rest);
    }

    /// <summary>Several tests, or production, may be on a network that was there before: unless somebody chose it, no MAC is
    /// there twice.</summary>
    private CardPlan PlanOf(TestCard card, string? bubble) => card switch
    {
        { InBubble: true } => new CardPlan(card.Mac, bubble, card.NewMac),
        { Network: null } => new CardPlan(card.Mac, null),
        _ => new CardPlan(card.Mac, card.Network, card.NewMac ?? MacAddress.FromRandom(context.Services.Ids.NewRandom128())),
    };
}
