using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;

namespace Understudy.Simulation.Sites.Vault;

/// <summary>What the single steps ask of the agents and write into the rows, as the vault's own do; each may be begun again.</summary>
internal sealed partial class ModelVault
{
    private Task<StepOutcome> CarryOutAsync(JobRow job, StepRow step) => step.Kind switch
    {
        StepKind.CheckBothSides or StepKind.CheckFailover => CheckAsync(job),
        StepKind.CreateReplica => CreateReplicaAsync(job, step),
        StepKind.StartSource => StartSourceAsync(job, step),
        StepKind.FirstCopy => FirstCopyAsync(job),
        StepKind.StopSource => StopSourceAsync(job, step),
        StepKind.RetireSource => RetireSourceAsync(job, step),
        StepKind.RemoveReplica => RemoveReplicaAsync(job, step),
        StepKind.SettingsAtSource => SettingsAtSourceAsync(job, step),
        StepKind.DisksAtSource => DisksAtSourceAsync(job, step),
        StepKind.SettingsAtTarget => SettingsAtTargetAsync(job, step),
        StepKind.PauseSource => AtSourceAsync(step, AgentMethods.SourcePause, new SourcePauseRequest(job.Vm, job.Input.Replica, "user")),
        StepKind.ResumeSource => AtSourceAsync(step, AgentMethods.SourceResume, new SourceResumeRequest(job.Vm, job.Input.Replica)),
        StepKind.ResyncSource => AtSourceAsync(step, AgentMethods.SourceResync, new SourceResyncRequest(job.Vm, job.Input.Replica)),
        StepKind.MarkPoint => AtSourceAsync(step, AgentMethods.SourceCycle, new SourceCycleRequest(job.Vm, job.Input.Replica, PointKind.Bookmark, "by hand")),
        StepKind.StartTest => StartTestAsync(job, step),
        StepKind.RemoveTest => RemoveTestAsync(job, step),
        StepKind.AssessSource => Task.FromResult(Assess(job)),
        StepKind.TryFenceSource => TryFenceSourceAsync(job, step),
        StepKind.TryShutDownGuest => TryShutDownGuestAsync(job, step),
        StepKind.TryLastChange => TryLastChangeAsync(job, step),
        StepKind.RunLastCycle => RunLastCycleAsync(job, step),
        StepKind.FenceSource => FenceSourceAsync(job, step),
        StepKind.ShutDownGuest => ShutDownGuestAsync(job, step),
        StepKind.SendLastChange => SendLastChangeAsync(job, step),
        StepKind.OfferVm => OfferVmAsync(job, step),
        StepKind.StartAtTarget => StartAtTargetAsync(job, step),
        StepKind.HandOver => HandOverAsync(job, step),
        StepKind.OpenFence => OpenFenceAsync(job, step),
        StepKind.TakeBack => TakeBackAsync(job, step),
        StepKind.ChangePointAtTarget => ChangePointAsync(job, step),
        StepKind.EndAtTarget => EndAtTargetAsync(job, step),
        StepKind.AcceptAtSource => AcceptAtSourceAsync(job, step),
        StepKind.SettleTransfer => SettleTransferAsync(job, step),
        StepKind.CommitAtTarget => CommitAsync(job, step),
        StepKind.ExportPoint => ExportAsync(job, step),
        StepKind.MountPoint => AtTargetAsync(step, AgentMethods.PointMount, new PointMountRequest(
            job.Input.Replica, Required(job.Input.Point), job.Input.Branch, Required(job.Input.Mount), job.Input.Writable)),
        StepKind.AttachPoint => AtTargetAsync(step, AgentMethods.PointAttach, new PointAttachRequest(
            job.Input.Replica, Required(job.Input.Point), job.Input.Branch, Required(job.Input.Mount), job.Input.Name, job.Input.Writable)),
        StepKind.UnmountPoint => AtTargetAsync(step, AgentMethods.PointUnmount, new PointUnmountRequest(job.Input.Replica, Required(job.Input.Mount))),
        StepKind.DetachPoint => AtTargetAsync(step, AgentMethods.PointDetach, new PointDetachRequest(job.Input.Replica, Required(job.Input.Mount))),
        StepKind.FenceForMaintenance => AtSourceAsync(step, AgentMethods.SourceFence, new SourceFenceRequest(job.Vm, job.Input.Replica, $"maintenance (job {job.Id})")),
        StepKind.EndMaintenance => EndMaintenanceAsync(job, step),
        StepKind.DeleteBranch => DeleteBranchAsync(job, step),
        _ => throw new StepFailedException("not-modelled", step.Kind.ToString()),
    };

    private ProtectionRow Row(JobRow job) => Db.Protections.TryGetValue(job.Vm, out ProtectionRow? row) && row.Replica == job.Input.Replica
        ? row
        : throw new StepFailedException("not-protected", job.Vm.ToString());

    private async Task<StepOutcome> AtSourceAsync<TRequest, TAnswer>(StepRow step, AgentMethod<TRequest, TAnswer> method, TRequest body)
    {
        await AskAsync(_world.Source, step, method, body);
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> AtTargetAsync<TRequest, TAnswer>(StepRow step, AgentMethod<TRequest, TAnswer> method, TRequest body)
    {
        await AskAsync(_world.Target, step, method, body);
        return StepOutcome.Done;
    }

    /// <summary>Waits for the host when it is away. A VM that went over to its target meanwhile stays there.</summary>
    private async Task<StepOutcome> EndMaintenanceAsync(JobRow job, StepRow step) =>
        Db.Protections.TryGetValue(job.Vm, out ProtectionRow? row) && row.Replica == job.Input.Replica && row.Stage == ProtectionStage.Replicating
            ? await AtSourceAsync(step, AgentMethods.SourceUnfence, new SourceUnfenceRequest(job.Vm, job.Input.Replica, job.Input.Running))
            : StepOutcome.Done;

    private async Task<StepOutcome> CheckAsync(JobRow job)
    {
        foreach (Site site in _world.Sites)
        {
            await WaitForHostAsync(site);
        }

        Assess(job);
        return StepOutcome.Done with { Input = job.Input with { Running = Db.Sources.GetValueOrDefault(job.Vm) is { Fenced: true } ? Row(job).RanAtSource : RunsAtSource(job.Vm) } };
    }

    private StepOutcome Assess(JobRow job) => FailoverChecks.OfReplica(Db.Targets.GetValueOrDefault(job.Vm)) is { } unusable
        ? throw new StepFailedException(unusable.Code, unusable.ToString())
        : StepOutcome.Done;

    private bool RunsAtSource(VmId vm) => _world.Source.Machine.Find(vm) is { Qemu: not null };

    private async Task<StepOutcome> CreateReplicaAsync(JobRow job, StepRow step)
    {
        VmWatch vm = _world.Watch(job.Vm);
        ReplicaCreated created = await AskAsync(_world.Target, step, AgentMethods.ReplicaCreate, new ReplicaCreateRequest(
            vm.Id, vm.Name, job.Input.Replica, _world.Source.Id, vm.Name, [], new ReplicaSettings(Row(job).Retention)));
        await WriteAsync();
        Row(job).Line = created.Line;
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> StartSourceAsync(JobRow job, StepRow step)
    {
        LineId line = Row(job).Line ?? throw new StepFailedException("internal", "no line");
        await AskAsync(_world.Source, step, AgentMethods.SourceProtect, new SourceProtectRequest(
            job.Vm, job.Input.Replica, line, _world.Target.Id, "target:1", Settings));
        await WriteAsync();
        Row(job).Stage = ProtectionStage.Replicating;
        return StepOutcome.Done;
    }

    private SourceSettings Settings => new(_world.Policy.Frequency, true, _world.StartsAfter, _world.Isolated);

    /// <summary>Waits as long as it takes; a cancel ends the waiting only.</summary>
    private async Task<StepOutcome> FirstCopyAsync(JobRow job)
    {
        while (!(Db.Targets.GetValueOrDefault(job.Vm) is { PointCount: > 0 } or { Failover: not null } || Db.Sources.GetValueOrDefault(job.Vm)?.LastPoint is not null))
        {
            if (job.CancelRequested)
            {
                return new StepOutcome(StepState.Cancelled);
            }

            Row(job); // Ended meanwhile, it has nothing to wait for.
            await _process.TakeTimeAsync(TimeSpan.FromSeconds(3));
        }

        return StepOutcome.Done;
    }

    private async Task<StepOutcome> SettingsAtSourceAsync(JobRow job, StepRow step)
    {
        if (Row(job).Stage != ProtectionStage.Preparing && IsConnected(_world.Source))
        {
            await AskAsync(_world.Source, step, AgentMethods.SourceConfigure, new SourceConfigureRequest(job.Vm, Settings));
        }

        return StepOutcome.Done;
    }

    private async Task<StepOutcome> DisksAtSourceAsync(JobRow job, StepRow step)
    {
        if (job.Input.Excluded is { } excluded && Row(job).Stage != ProtectionStage.Preparing && IsConnected(_world.Source))
        {
            _world.Watch(job.Vm).Ledger(job.Input.Replica).LeavesDisksOut = true;
            await AskAsync(_world.Source, step, AgentMethods.SourceDisks, new SourceDisksRequest(job.Vm, job.Input.Replica, excluded));
        }

        return StepOutcome.Done;
    }

    private async Task<StepOutcome> SettingsAtTargetAsync(JobRow job, StepRow step)
    {
        ProtectionRow row = Row(job);
        row.Retention = job.Input.Retention ?? row.Retention;
        await WriteAsync();
        if (row.Stage != ProtectionStage.Preparing && IsConnected(_world.Target))
        {
            await AskAsync(_world.Target, step, AgentMethods.ReplicaConfigure, new ReplicaConfigureRequest(row.Replica, new ReplicaSettings(row.Retention)));
        }

        return StepOutcome.Done;
    }

    private async Task<StepOutcome> StopSourceAsync(JobRow job, StepRow step)
    {
        SourceUnprotectRequest end = new(job.Vm, job.Input.Replica, KeepGuard: false, Db.Targets.GetValueOrDefault(job.Vm)?.Ownership?.Line ?? Row(job).Line);
        await WriteAsync();
        Db.Retired.Remove(job.Input.Replica); // Of an end that was to leave the VM at the target, before somebody claimed it here.
        if (!IsConnected(_world.Source))
        {
            return await RemoveLaterAsync(job, step, atSource: true, end);
        }

        return await AtSourceAsync(step, AgentMethods.SourceUnprotect, end);
    }

    /// <summary>The old VM is listed first, then left alone.</summary>
    private async Task<StepOutcome> RetireSourceAsync(JobRow job, StepRow step)
    {
        ProtectionRow row = Row(job);
        OwnershipInfo? owner = Db.Targets.GetValueOrDefault(job.Vm)?.Ownership;
        SourceUnprotectRequest retirement = new(job.Vm, job.Input.Replica, KeepGuard: true, owner?.Line ?? row.Line, owner?.Since);
        await WriteAsync();
        Db.Retired[job.Input.Replica] = job.Vm;
        if (!IsConnected(_world.Source))
        {
            return await RemoveLaterAsync(job, step, atSource: true, retirement);
        }

        NoteKept(job.Input.Replica, await AskAsync(_world.Source, step, AgentMethods.SourceUnprotect, retirement));
        return StepOutcome.Done;
    }

    private void NoteKept(ReplicaId replica, Removed removed)
    {
        if (removed.Kept.Count == 0)
        {
            Db.Retired.Remove(replica); // Its disks had been deleted before.
        }
    }

    private async Task<StepOutcome> RemoveReplicaAsync(JobRow job, StepRow step)
    {
        _world.Watch(job.Vm).Ledger(job.Input.Replica).IsEnding = true;
        if (!IsConnected(_world.Target))
        {
            return await RemoveLaterAsync(job, step, atSource: false);
        }

        if (Db.Targets.GetValueOrDefault(job.Vm)?.Ownership is { } owner)
        {
            foreach (CleanupRow later in Db.Cleanups.Where(c => c.Replica == job.Input.Replica && c.Retirement?.Line is { } line && owner.Line.IsNewerThan(line)).ToArray())
            {
                Db.Cleanups[Db.Cleanups.IndexOf(later)] = later with { Retirement = later.Retirement! with { Line = owner.Line, MintedAt = owner.Since } }; // has one: asked for above
            }
        }

        Removed removed = await AskAsync(_world.Target, step, AgentMethods.TargetUnprotect, new TargetUnprotectRequest(
            job.Vm,
            job.Input.Replica,
            AtSource: job.Steps.All(other => other.Kind != StepKind.RetireSource) && !Standing.IsOwnedAtSource(Db.Sources.GetValueOrDefault(job.Vm), Db.Targets.GetValueOrDefault(job.Vm))));
        Db.Kept.AddRange(removed.Kept);
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> RemoveLaterAsync(JobRow job, StepRow step, bool atSource, SourceUnprotectRequest? retirement = null)
    {
        await WriteAsync();
        if (!Db.Cleanups.Exists(c => c.Operation == step.Operation))
        {
            Db.Cleanups.Add(new CleanupRow(step.Operation, job.Vm, job.Input.Replica, atSource, retirement));
        }

        return StepOutcome.Done;
    }

    private async Task<StepOutcome> StartTestAsync(JobRow job, StepRow step)
    {
        TestId test = Required(job.Input.Test);
        Row(job).Tests[test] = job; // First in the list, then in the world.
        await WriteAsync();
        await AskAsync(_world.Target, step, AgentMethods.TestStart, new TestStartRequest(
            job.Vm, job.Input.Replica, test, Required(job.Input.Point), job.Input.Name, Isolated: true, [], job.Input.Branch));
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> RemoveTestAsync(JobRow job, StepRow step)
    {
        TestId test = Required(job.Input.Test);
        await AskAsync(_world.Target, step, AgentMethods.TestComplete, new TestCompleteRequest(job.Input.Replica, test, "done"));
        await WriteAsync();
        Row(job).Tests.Remove(test);
        return StepOutcome.Done;
    }

    private async Task<StepOutcome> ExportAsync(JobRow job, StepRow step)
    {
        await AskAsync(_world.Target, step, AgentMethods.PointExport, new PointExportRequest(
            job.Input.Replica, Required(job.Input.Point), $"/exports/{step.Operation}", "raw", job.Input.Branch));
        return StepOutcome.Done;
    }

    /// <summary>The old disks of a source may outlive the protection, so nothing of it is asked for here.</summary>
    private async Task<StepOutcome> DeleteBranchAsync(JobRow job, StepRow step)
    {
        BranchId branch = Required(job.Input.Branch);
        if (!job.Input.AtSource)
        {
            _world.Watch(job.Vm).Ledger(job.Input.Replica).Branches.Deleted.Add(branch);
            await AskAsync(_world.Target, step, AgentMethods.BranchDelete, new BranchDeleteRequest(job.Input.Replica, branch));
            return StepOutcome.Done;
        }

        Removed removed = await AskAsync(_world.Source, step, AgentMethods.SourceBranchDelete, new SourceBranchDeleteRequest(job.Vm, job.Input.Replica, branch));
        Db.Kept.AddRange(removed.Kept);
        await WriteAsync();
        Db.Retired.Remove(job.Input.Replica);
        return StepOutcome.Done;
    }

    private static T Required<T>(T? value)
        where T : struct => value ?? throw new StepFailedException("internal", $"a step without its {typeof(T).Name}");
}
