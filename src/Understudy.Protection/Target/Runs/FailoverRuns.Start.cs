using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Definition;

namespace Understudy.Protection.Target.Runs;

/// <summary>Making the VM run here: planned (a token that was offered is accepted), unplanned (it is claimed), from a point
/// or from a test.</summary>
internal sealed partial class FailoverRuns
{
    /// <summary>Refuses without having changed anything, or ends with the VM running here. Asked again for the same point, it
    /// goes on or says what stands.</summary>
    public async ValueTask<FailoverStarted> StartAsync(FailoverRequest request, CancellationToken cancellationToken)
    {
        RequireNotCommitting(); // Before the gate: a commit may hold that for hours.
        using AsyncGate.Pass inside = await EnterBeforeHousekeepingAsync(cancellationToken);
        await UndoHalfMadeAsync(cancellationToken);
        if (Current is { } known)
        {
            return await GoOnAsync(known, request, cancellationToken);
        }

        context.RequireStays();
        PointContents contents = await TestRuns.GetPointAsync(context.Slot.Replica, request.Point, cancellationToken);
        RequireAcceptable(request);
        tests.RequirePromotable(request.FromTest, request.Point);
        FailoverRecord failover = Plan(request, contents);
        RequireAllowed(TakingMessage(failover));
        TransformedDomain domain = await TransformAsync(failover, contents, cancellationToken);
        await RequireFreeAsync(failover, cancellationToken);
        await SaveAsync(failover, cancellationToken);
        try
        {
            await MakeDisksAsync(failover, cancellationToken);
            await Hypervisor.DefineAsync(domain.Xml, cancellationToken);
            await SaveAsync(failover with { Step = FailoverStep.TakingOver }, cancellationToken);
        }
        catch
        {
            await TryUndoAsync($"the failed failover to {failover.Point}"); // Also when the caller gave up: nothing may stay.
            throw;
        }

        await AdvanceAsync(cancellationToken);
        return Describe(RequireRunning(), domain.Notes);
    }

    private async ValueTask<FailoverStarted> GoOnAsync(FailoverRecord known, FailoverRequest request, CancellationToken cancellationToken)
    {
        if (known.Point != request.Point || known.Transfer != request.Transfer || known.FromTest != request.FromTest || known.Step > FailoverStep.Running)
        {
            throw new RefusedException(
                RefusalCode.AlreadyFailedOver, $"{context.Vm} has been failed over to point {known.Point} already.", "Commit, cancel, or change the point.");
        }

        if (known.Step < FailoverStep.Running)
        {
            await ServeAsync(known, cancellationToken); // Its daemon may have gone with a reboot.
            await AdvanceAsync(cancellationToken);
        }

        return Describe(RequireRunning(), []);
    }

    /// <summary>A hand-over names the last change: it is accepted only where nothing is missing and nothing is behind it.</summary>
    private void RequireAcceptable(FailoverRequest request)
    {
        Replica replica = context.Slot.Replica;
        if (request.Transfer is { } transfer && (replica.Points[^1].Id != request.Point || replica.ReceivedSequence != request.Point.Sequence))
        {
            throw new RefusedException(
                RefusalCode.TransferOutdated,
                $"Transfer {transfer} of {context.Vm} names point {request.Point}, and that is not the last thing this replica holds.",
                "Refuse the transfer, take the VM back at its source, and begin the failover again.");
        }
    }

    /// <summary>What the token would say, before anything is made.</summary>
    private void RequireAllowed(OwnershipMessage message)
    {
        if (OwnershipRules.Apply(Token.Record, message, Token.Boot) is OwnershipOutcome.Refused refused)
        {
            throw new RefusedException(refused.Code, refused.What, refused.Remedy);
        }
    }

    /// <summary>Who already owns the VM here goes on under its new line, or not at all when he has lost it; else the offer is
    /// accepted, or the VM is claimed.</summary>
    private OwnershipMessage TakingMessage(FailoverRecord failover) =>
        failover.IsMove || Token.Record.State is OwnershipState.Here ? new OwnershipMessage.Renew(failover.Line, failover.Point)
        : failover.Transfer is { } transfer ? new OwnershipMessage.Accept(transfer, failover.Line, failover.Point, Succeeds: failover.Point.Line)
        : new OwnershipMessage.Claim(failover.Line, failover.Point);

    /// <exception cref="RefusedException">Somebody has claimed the VM at its source meanwhile.</exception>
    private FailoverRecord RequireRunning()
    {
        if (Token.Record is { State: not OwnershipState.Here, Line: var line })
        {
            throw new RefusedException(
                RefusalCode.NotOwner, $"{context.Vm} was claimed at its source meanwhile, by line {line}.", "Look at both sides: 'understudy vm show'.");
        }

        Invariant.Check(Current is { Step: FailoverStep.Running }, "a failover that is reported as started has reached its running step");
        return Current!; // Checked above.
    }

    /// <summary>The token, and with it the guard; then the line. Whoever still writes the old one is refused from here on.</summary>
    private async ValueTask TakeOverAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        await Token.SetDisksAsync(failover.VmName, [.. failover.Disks.SelectMany(disk => (string[])[disk.Overlay, disk.SecondOverlay, disk.Base])], cancellationToken);
        using (await _guestGate.EnterAsync(cancellationToken))
        {
            // In turn with whoever keeps a mere replica's VM from running: from here on somebody may start this one by hand.
            await Token.TakeAsync(TakingMessage(failover), cancellationToken);
        }

        string mintedBy = failover.Transfer is { } transfer ? $"planned failover {transfer}" : $"unplanned failover {failover.Id}";
        await context.Slot.Replica.MintLineAsync(failover.Line, failover.Point, mintedBy, cancellationToken);
    }

    /// <summary>Defined already, unless the point was changed; running already, when an agent died here.</summary>
    private async ValueTask StartVmAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        await ServeAsync(failover, cancellationToken);
        if (!await IsDefinedOnAsync(failover, cancellationToken))
        {
            PointContents contents = await context.Slot.Replica.GetPointAsync(failover.Point, cancellationToken);
            await Hypervisor.DefineAsync((await TransformAsync(failover, contents, cancellationToken)).Xml, cancellationToken);
        }

        using AsyncGate.Pass inside = await _guestGate.EnterAsync(cancellationToken);
        VmRunState state = await Hypervisor.GetRunStateAsync(context.Spec.Vm, cancellationToken);
        if (state == VmRunState.Paused)
        {
            await Hypervisor.ResumeAsync(context.Spec.Vm, cancellationToken); // Somebody has started it by hand, and not let it run.
        }
        else if (state is VmRunState.Off or VmRunState.Crashed)
        {
            using AsyncGate.Pass daemon = await _daemonGate.EnterAsync(cancellationToken);
            await context.RunDisks.StartGuestAsync(WatchedOf(failover), cancellationToken);
        }

        await NoteAsync(failover, runs: true, cancellationToken); // Should the host boot now, it is to run again.
    }

    private FailoverRecord Plan(FailoverRequest request, PointContents contents)
    {
        Guid id = context.Services.Ids.NewGuid();
        return new FailoverRecord(
            id,
            request.Transfer,
            request.FromTest,
            request.Point,
            contents.Point.CutAt,
            NextLine(),
            request.VmName,
            Hosting.ReplicaPlaces.Bitmap(id),
            [
                .. contents.Geometry.Disks.Select(disk => new FailoverDisk(
                    disk.Disk,
                    disk.Target,
                    context.Places.FailoverOverlay(id, disk.Target),
                    context.Places.SecondOverlay(id, disk.Target),
                    context.Places.BaseImage(disk))),
            ],
            request.Cards,
            request.Size,
            request.BranchDays,
            request.Label,
            context.Services.Time.GetUtcNow(),
            FailoverStep.Preparing);
    }

    /// <summary>Newer than all that this side knows of.</summary>
    private LineId NextLine()
    {
        LineId ofReplica = context.Slot.Replica.Line;
        LineId ofToken = Token.Record.Line;
        return LineSteps.Next(ofReplica.IsNewerThan(ofToken) ? ofReplica : ofToken, context.Services.Ids.NewRandom128());
    }

    private async ValueTask<TransformedDomain> TransformAsync(FailoverRecord failover, PointContents contents, CancellationToken cancellationToken)
    {
        string definition = contents.DefinitionXml ?? throw DomainTransformer.Unreadable("the source has sent none yet");
        HostFacts host = await Hypervisor.GetHostAsync(cancellationToken);
        return DomainTransformer.Transform(definition, new DomainTransform(
            TransformKind.Failover,
            failover.VmName,
            context.Spec.Vm,
            failover.Disks.ToDictionary(disk => disk.TargetDevice, disk => new DiskImage(disk.Overlay, "qcow2")),
            new NetworkPlacement.Planned(failover.Cards),
            context.Places.LogFolder(failover.VmName),
            new TargetCapabilities(host.HardwareAcceleration),
            failover.Size));
    }

    private async ValueTask RequireFreeAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        foreach (VmFacts vm in await Hypervisor.ListVmsAsync(cancellationToken))
        {
            if (vm.Id == context.Spec.Vm)
            {
                throw new RefusedException(
                    RefusalCode.NameTaken, $"This host has a VM with the identity of {context.Vm} already: '{vm.Name}' ({vm.Id}).", "Remove that definition (virsh undefine), if it is not needed.");
            }

        }

        await RequireFreeNameAsync(failover, cancellationToken);
    }

    private async ValueTask RequireFreeNameAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        if ((await Hypervisor.ListVmsAsync(cancellationToken)).Any(vm => vm.Name == failover.VmName && vm.Id != context.Spec.Vm))
        {
            throw new RefusedException(RefusalCode.NameTaken, $"This host has a VM called '{failover.VmName}' already.", "Choose another name for the failover.");
        }
    }

    private FailoverStarted Describe(FailoverRecord failover, IReadOnlyList<string> notes, BranchId? branch = null) => new(
        failover.Line,
        failover.VmName,
        [
            $"VM {failover.VmName} ({context.Spec.Vm})",
            $"storage daemon {Hosting.ReplicaPlaces.RunDaemon(failover.Id)} on {context.Places.RunSocket(failover.Id)}",
            .. failover.Disks.Select(disk => $"overlay {disk.Overlay}"),
            $"logs in {context.Places.LogFolder(failover.VmName)}",
        ],
        notes,
        branch ?? (failover.FromTest is { } test ? new BranchId(test) : null));
}
