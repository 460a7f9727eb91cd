using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Protection.Durable;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Definition;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target.Runs;

/// <summary>
/// The failover of one replica and its commit (FO-2, FO-4, FO-5). There is at most one; its file names the step reached,
/// written before the step's first effect. Steps before the new line is minted can be undone and are, when anything
/// fails; from there on it only goes forward. One gate: who starts, who commits and who recovers take turns.
/// </summary>
internal sealed partial class FailoverRuns(ReplicaContext context)
{
    private readonly AsyncGate _gate = new();

    /// <summary>Held while the guest's daemon is looked after or ended: a watcher must not start again what a commit has
    /// just ended. Apart from <see cref="_gate"/>, because guests are looked after during a commit too.</summary>
    private readonly AsyncGate _daemonGate = new();

    /// <summary>Guards the two below: orders and the host's housekeeping meet here.</summary>
    private readonly Lock _turn = new();
    private CancellationTokenSource? _giveWay;
    private int _startsWaiting;

    /// <summary>Null while the replica is only a replica.</summary>
    public FailoverRecord? Current { get; private set; }

    /// <summary>What a commit under way waits for; null when it does not wait.</summary>
    public string? Waiting { get; private set; }

    /// <summary>What stands of the failover, before anything else is opened: it decides who may open the base.</summary>
    public async ValueTask LoadAsync(CancellationToken cancellationToken) =>
        Current = await RunFiles.FailoverDocument.LoadAsync(context.State, RunFiles.Failover, cancellationToken);

    /// <summary>After a restart, before views are served. A failover that had not taken over is undone (whoever ordered it
    /// asks again); one that had goes on by <see cref="TendAsync"/>.</summary>
    public async ValueTask RecoverAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        switch (Current?.Step)
        {
            case null:
                break;
            case FailoverStep.Preparing:
                await UndoAsync(Current, cancellationToken);
                break;
            case <= FailoverStep.EndingViews:
                Hold(Current);
                break;
            default:
                _ = context.Views.TryClose(Current.Id); // They had ended.
                break;
        }
    }

    /// <summary>Refuses without having changed anything, or ends with the VM running here.</summary>
    public async ValueTask<FailoverStarted> StartAsync(FailoverRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await EnterBeforeHousekeepingAsync(cancellationToken);
        if (Current is { Step: FailoverStep.Preparing } halfMade)
        {
            await UndoAsync(halfMade, cancellationToken); // An attempt before this one failed, and so did its undoing.
        }

        if (Current is { } known)
        {
            if (known.Point != request.Point || known.Step > FailoverStep.Running)
            {
                throw new RefusedException(
                    RefusalCode.AlreadyFailedOver, $"{context.Vm} has been failed over to point {known.Point} already.", "Commit that failover.");
            }

            if (known.Step < FailoverStep.Running)
            {
                await ServeAsync(known, cancellationToken); // Its daemon may have gone with a reboot.
                await GoOnAsync(cancellationToken);
            }

            RequireRunning();
            return Describe(known, []);
        }

        PointContents contents = await TestRuns.GetPointAsync(context.Slot.Replica, request.Point, cancellationToken);
        FailoverRecord failover = Plan(request, contents);
        TransformedDomain domain = await TransformAsync(failover, contents, cancellationToken);
        await RequireFreeAsync(failover.VmName, cancellationToken);
        await SaveAsync(failover, cancellationToken);
        try
        {
            await PrepareAsync(failover, domain, cancellationToken);
            await SaveAsync(failover with { Step = FailoverStep.TakingOver }, cancellationToken);
        }
        catch
        {
            await TryUndoAsync(failover); // Also when the caller gave up: nothing may stay.
            throw;
        }

        await GoOnAsync(cancellationToken);
        RequireRunning();
        return Describe(failover, domain.Notes);
    }

    /// <summary>
    /// For the host's housekeeping: runs what moves the oldest point, unless there is a failover. The oldest point must not
    /// pass the one that is being failed over to before the new line begins there (a pin would keep that one readable, but
    /// history cannot go on from it). So both happen under the same gate, and a failover does not wait for an apply: it
    /// interrupts it. An apply that was interrupted goes on later, at the latest in the commit.
    /// </summary>
    public async ValueTask MoveOldestAsync(Func<CancellationToken, ValueTask> move, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        CancellationTokenSource giveWay = new(); // Never disposed: whoever cancels it may come late, and it holds nothing.
        lock (_turn)
        {
            if (Current is not null || _startsWaiting > 0)
            {
                return;
            }

            _giveWay = giveWay;
        }

        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(giveWay.Token, cancellationToken);
        try
        {
            await move(either.Token);
        }
        catch (OperationCanceledException) when (giveWay.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // A failover comes first.
        }
        finally
        {
            lock (_turn)
            {
                _giveWay = null;
            }
        }
    }

    private async ValueTask<AsyncGate.Pass> EnterBeforeHousekeepingAsync(CancellationToken cancellationToken)
    {
        CancellationTokenSource? moving;
        lock (_turn)
        {
            _startsWaiting++;
            moving = _giveWay;
        }

        try
        {
            moving?.Cancel();
            return await _gate.EnterAsync(cancellationToken);
        }
        finally
        {
            lock (_turn)
            {
                _startsWaiting--;
            }
        }
    }

    private void RequireRunning() =>
        Invariant.Check(Current is { Step: FailoverStep.Running }, "a failover that is reported as started has reached its running step");

    /// <summary>For the host's loop: goes on with what was begun, a start or a commit; nothing otherwise.</summary>
    public async ValueTask TendAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        switch (Current?.Step)
        {
            case FailoverStep.Preparing:
                await UndoAsync(Current, cancellationToken); // Left by a failed start: one that goes on holds the gate.
                break;
            case FailoverStep.TakingOver or FailoverStep.Starting:
                await ServeAsync(Current, cancellationToken);
                await GoOnAsync(cancellationToken);
                break;
            case > FailoverStep.Running and < FailoverStep.Committed:
                await AdvanceAsync(cancellationToken);
                break;
            default:
                break;
        }
    }

    /// <summary>From taking over to running; what has happened already is left as it is.</summary>
    private async ValueTask GoOnAsync(CancellationToken cancellationToken)
    {
        Invariant.Check(Current is not null, "no failover to go on with");
        FailoverRecord failover = Current!; // Checked above.
        if (failover.Step == FailoverStep.TakingOver)
        {
            if (context.Slot.Replica.Line != failover.Line)
            {
                await context.Slot.Replica.MintLineAsync(failover.Line, failover.Point, $"unplanned failover {failover.Id}", cancellationToken);
            }

            await SaveAsync(failover = failover with { Step = FailoverStep.Starting }, cancellationToken);
        }

        if (failover.Step == FailoverStep.Starting)
        {
            VmRunState state = await context.Services.Hypervisor.GetRunStateAsync(context.Spec.Vm, cancellationToken);
            if (state is VmRunState.Off or VmRunState.Crashed)
            {
                await context.Services.Hypervisor.StartAsync(context.Spec.Vm, cancellationToken);
            }

            await SaveAsync(failover with { Step = FailoverStep.Running }, cancellationToken);
        }
    }

    private FailoverRecord Plan(FailoverRequest request, PointContents contents)
    {
        Guid id = context.Services.Ids.NewGuid();
        LineId line = new(context.Slot.Replica.Line.Counter + 1, context.Services.Ids.NewRandom128());
        return new FailoverRecord(
            id,
            request.Point,
            line,
            request.VmName,
            ReplicaPlaces.Bitmap(id),
            [
                .. contents.Geometry.Disks.Select(disk => new FailoverDisk(
                    disk.Disk,
                    disk.Target,
                    context.Places.FailoverOverlay(id, disk.Target),
                    context.Places.SecondOverlay(id, disk.Target),
                    context.Places.BaseImage(disk))),
            ],
            request.Cards,
            context.Services.Time.GetUtcNow(),
            FailoverStep.Preparing);
    }

    private async ValueTask<TransformedDomain> TransformAsync(FailoverRecord failover, PointContents contents, CancellationToken cancellationToken)
    {
        string definition = contents.DefinitionXml ?? throw DomainTransformer.Unreadable("the source has sent none yet");
        HostFacts host = await context.Services.Hypervisor.GetHostAsync(cancellationToken);
        return DomainTransformer.Transform(definition, new DomainTransform(
            TransformKind.Failover,
            failover.VmName,
            context.Spec.Vm,
            failover.Disks.ToDictionary(disk => disk.TargetDevice, disk => new DiskImage(disk.Overlay, "qcow2")),
            new NetworkPlacement.Planned(failover.Cards),
            context.Places.LogFolder(failover.VmName),
            new TargetCapabilities(host.HardwareAcceleration)));
    }

    private async ValueTask RequireFreeAsync(string name, CancellationToken cancellationToken)
    {
        foreach (VmFacts vm in await context.Services.Hypervisor.ListVmsAsync(cancellationToken))
        {
            if (vm.Id == context.Spec.Vm)
            {
                throw new RefusedException(
                    RefusalCode.NameTaken, $"This host has a VM with the identity of {context.Vm} already: '{vm.Name}' ({vm.Id}).", "Remove that definition (virsh undefine), if it is not needed.");
            }

            if (vm.Name == name)
            {
                throw new RefusedException(RefusalCode.NameTaken, $"This host has a VM called '{name}' already.", "Choose another name for the failover.");
            }
        }
    }

    private async ValueTask PrepareAsync(FailoverRecord failover, TransformedDomain domain, CancellationToken cancellationToken)
    {
        await ServeAsync(failover, cancellationToken);
        await context.RunDisks.MakeOverlaysAsync(failover.Id, OverlaysOf(failover), failover.Bitmap, cancellationToken);
        await context.Services.Images.CreateFolderAsync(context.Places.LogFolder(failover.VmName), cancellationToken);
        await context.Services.Hypervisor.DefineAsync(domain.Xml, cancellationToken);
    }

    private void Hold(FailoverRecord failover) =>
        context.Views.Hold(failover.Id, failover.Point, $"VM {failover.VmName} runs on point {failover.Point}");

    private async ValueTask ServeAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        Hold(failover);
        await context.RunDisks.EnsureDaemonAsync(failover.Id, failover.Point, OverlaysOf(failover), cancellationToken);
    }

    /// <summary>What cannot be undone now stays as a failover in preparation: the housekeeping, the next order or the next
    /// start of the agent tries again. The caller tells why the failover failed; that matters more.</summary>
    private async ValueTask TryUndoAsync(FailoverRecord failover)
    {
        try
        {
            await UndoAsync(failover, CancellationToken.None);
        }
        catch (Exception fault)
        {
            Log.TriedAgain(context.Logger, context.Vm, $"undoing the failed failover to {failover.Point}", fault.Message);
        }
    }

    /// <summary>Only while the old line owns the VM: the VM has never run here.</summary>
    private async ValueTask UndoAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        Invariant.Check(failover.Step == FailoverStep.Preparing, "a failover that has taken over cannot be undone");
        await UndefineOursAsync(failover, cancellationToken);
        using (await _daemonGate.EnterAsync(cancellationToken))
        {
            await context.RunDisks.StopDaemonAsync(failover.Id, cancellationToken);
        }

        await context.RunDisks.DeleteOverlaysAsync(OverlaysOf(failover), cancellationToken);
        await context.Services.Images.DeleteFolderIfEmptyAsync(context.Places.LogFolder(failover.VmName), cancellationToken);
        context.Views.Release(failover.Id);
        await DurableDocument<FailoverRecord>.DeleteAsync(context.State, RunFiles.Failover, cancellationToken);
        Current = null;
    }

    /// <summary>A definition of that identity is ours when its disks are; anybody else's stays.</summary>
    private async ValueTask UndefineOursAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        if (await context.Services.Hypervisor.FindVmAsync(context.Spec.Vm, cancellationToken) is null)
        {
            return;
        }

        string definition = await context.Services.Hypervisor.GetDefinitionAsync(context.Spec.Vm, DefinitionKind.Inactive, cancellationToken);
        if (failover.Disks.All(disk => DiskPlaces.PlaceOf(definition, disk) == DiskPlace.OnOverlay))
        {
            await context.Services.Hypervisor.UndefineAsync(context.Spec.Vm, cancellationToken);
        }
    }

    /// <summary>Looks after the VM, while it runs on views.</summary>
    public async Task WatchAsync(GuestWatch watch, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _daemonGate.EnterAsync(cancellationToken);
        if (Current is { Step: >= FailoverStep.Starting and < FailoverStep.EndingViews } running)
        {
            await watch.TendAsync(new WatchedGuest(running.Id, context.Spec.Vm, running.VmName, running.Point, OverlaysOf(running)), cancellationToken);
        }
    }

    private static RunDisk[] OverlaysOf(FailoverRecord failover) =>
        [.. failover.Disks.Select(disk => new RunDisk(disk.Disk, disk.TargetDevice, disk.Overlay))];

    private async ValueTask SaveAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        await RunFiles.FailoverDocument.SaveAsync(context.State, RunFiles.Failover, failover, cancellationToken);
        Current = failover;
        Log.FailoverStepReached(context.Logger, context.Vm, failover.Point.ToString(), failover.Step.ToString());
    }

    private FailoverStarted Describe(FailoverRecord failover, IReadOnlyList<string> notes) => new(
        failover.Line,
        failover.VmName,
        [
            $"VM {failover.VmName} ({context.Spec.Vm})",
            $"storage daemon {ReplicaPlaces.RunDaemon(failover.Id)} on {context.Places.RunSocket(failover.Id)}",
            .. failover.Disks.Select(disk => $"overlay {disk.Overlay}"),
            $"logs in {context.Places.LogFolder(failover.VmName)}",
        ],
        notes);
}
