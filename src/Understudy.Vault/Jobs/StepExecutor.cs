using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Events;
using Understudy.Vault.Protection;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs;

/// <summary>
/// Does the single steps. Each may be begun again after a restart of the vault: what it asks of agents has the step's
/// operation id, and what it writes here is the same when written twice.
/// </summary>
internal sealed partial class StepExecutor(
    VaultStorage storage, AgentRegistry agents, HostStore hosts, ReportBoard board, EventJournal events, Changes changes)
{
    public Task<StepResult> RunAsync(StepKind kind, StepRun run, CancellationToken cancel, CancellationToken stopping) => kind switch
    {
        StepKind.CheckBothSides => CheckBothSidesAsync(run, cancel, stopping),
        StepKind.CreateReplica => CreateReplicaAsync(run, cancel, stopping),
        StepKind.StartSource => StartSourceAsync(run, cancel, stopping),
        StepKind.FirstCopy => FirstCopyAsync(run, cancel, stopping),
        StepKind.StartTest => StartTestAsync(run, cancel, stopping),
        StepKind.RemoveTest => RemoveTestAsync(run, cancel, stopping),
        StepKind.AssessSource => AssessSourceAsync(run, stopping),
        StepKind.StartAtTarget => StartAtTargetAsync(run, cancel, stopping),
        StepKind.CommitAtTarget => CommitAsync(run, cancel, stopping),
        StepKind.StopSource => StopSourceAsync(run, cancel, stopping),
        StepKind.RemoveReplica => RemoveReplicaAsync(run, cancel, stopping),
        StepKind.ExportPoint => ExportAsync(run, cancel, stopping),
        _ => throw new UnreachableException($"step {kind}"),
    };

    /// <summary>A retry is for the protection the job was made for, not for a later one of the same VM.</summary>
    public static async Task RequireSameProtectionAsync(VaultDb db, JobRow job, CancellationToken cancellationToken)
    {
        Guid replica = JobView.Input(job).Replica.Value;
        if (!await db.Protections.AnyAsync(row => row.VmId == job.VmId && row.Replica == replica, cancellationToken))
        {
            throw new ErrorException(Errors.JobOutdated(new JobId(job.Id), job.Name));
        }
    }

    /// <summary>What becomes true together with a job's end.</summary>
    public async Task OnEndAsync(VaultDb db, JobRow job, JobState state, CancellationToken cancellationToken)
    {
        ProtectionRow? row = await db.Protections.SingleOrDefaultAsync(candidate => candidate.VmId == job.VmId, cancellationToken);
        if (row is null || row.Replica != JobView.Input(job).Replica.Value)
        {
            return;
        }

        JobAction action = JobView.Action(job);
        bool nothingMade = action == JobAction.Protect && state != JobState.Succeeded && !job.Steps.Any(step => JobView.Kind(step) == StepKind.CreateReplica && step.StartedAt is not null);
        if (nothingMade || (action == JobAction.Unprotect && state == JobState.Succeeded))
        {
            db.Tests.RemoveRange(db.Tests.Where(test => test.VmId == job.VmId));
            db.Protections.Remove(row);
            board.Forget(new Blocks.Identity.VmId(job.VmId));
        }
        else if (state != JobState.Succeeded && board.Get(new Blocks.Identity.VmId(job.VmId)).Target is { } report
            && Standing.Reconcile(Enum.Parse<ProtectionStage>(row.Stage), report) is { } reported)
        {
            row.Stage = reported.ToString();
        }
    }

    /// <summary>The protection a step works on, with the names of its hosts.</summary>
    private async Task<(ProtectedVm Vm, HostRow Source, HostRow Target)> LoadAsync(StepRun run, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        ProtectedVm? vm = await db.FindProtectedAsync(run.Vm, cancellationToken);
        if (vm is null || vm.Replica != run.Input.Replica)
        {
            throw new ErrorException(Errors.NotProtected(run.VmName));
        }

        HostRow source = await db.Hosts.AsNoTracking().SingleAsync(row => row.Id == vm.SourceHost.Value, cancellationToken);
        HostRow target = await db.Hosts.AsNoTracking().SingleAsync(row => row.Id == vm.TargetHost.Value, cancellationToken);
        return (vm, source, target);
    }

    private async Task<Policy> PolicyOfAsync(ProtectedVm vm, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        return (await PolicyStore.FindAsync(db, vm.Policy, cancellationToken)).ToModel();
    }

    private async Task SetStageAsync(StepRun run, ProtectionStage stage, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        await db.SetStageAsync(run.Vm, stage, cancellationToken);
        changes.Publish(Changes.Vm(run.Vm.Value));
    }
}
