using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>Points and branches given out, and branches deleted.</summary>
internal sealed class PointSteps(StepScene scene)
{
    public async Task<StepResult> ExportAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        ExportInput input = run.InputAs<ExportInput>();
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        PointExported exported = await run.AskAsync(
            target, AgentMethods.PointExport, new PointExportRequest(vm.Replica, input.Point, input.Folder, input.Format, input.Branch), cancel, stopping);
        return new StepResult($"{exported.Files.Count} files in {input.Folder} at {target.Name}", [.. exported.Files.Select(file => $"{target.Name}: {file}")]);
    }

    public async Task<StepResult> MountAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        MountInput input = run.InputAs<MountInput>();
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        PointMounted mounted = await run.AskAsync(
            target, AgentMethods.PointMount, new PointMountRequest(vm.Replica, input.Point, input.Branch, input.Mount, input.Writable), cancel, stopping);
        return new StepResult($"at {target.Name}: {string.Join(", ", mounted.Devices)}", [.. mounted.Devices.Select(device => $"{target.Name}: {device}")]);
    }

    public async Task<StepResult> AttachAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        MountInput input = run.InputAs<MountInput>();
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        string toVm = input.ToVm ?? throw new ErrorException(Errors.Internal("attached to no VM"));
        PointMounted attached = await run.AskAsync(
            target, AgentMethods.PointAttach, new PointAttachRequest(vm.Replica, input.Point, input.Branch, input.Mount, toVm, input.Writable), cancel, stopping);
        return new StepResult($"{toVm} at {target.Name} has it as {string.Join(", ", attached.Devices)}", [.. attached.Devices.Select(device => $"{target.Name}: {toVm}, {device}")]);
    }

    public async Task<StepResult> UnmountAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        return StepWords.AfterRemoval(target, await run.AskAsync(
            target, AgentMethods.PointUnmount, new PointUnmountRequest(vm.Replica, run.InputAs<UnmountInput>().Mount), cancel, stopping));
    }

    public async Task<StepResult> DetachAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        (ProtectedVm vm, _, HostRow target) = await scene.LoadAsync(run, stopping);
        return StepWords.AfterRemoval(target, await run.AskAsync(
            target, AgentMethods.PointDetach, new PointDetachRequest(vm.Replica, run.InputAs<UnmountInput>().Mount), cancel, stopping));
    }

    /// <summary>The old disks of a source may outlive the protection, so nothing of it is asked for here.</summary>
    public async Task<StepResult> DeleteBranchAsync(StepRun run, CancellationToken cancel, CancellationToken stopping)
    {
        BranchInput input = run.InputAs<BranchInput>();
        await using VaultDb db = scene.Open();
        HostRow host = await db.Hosts.AsNoTracking().SingleAsync(row => row.Id == input.Host.Value, stopping);
        Removed removed = input.AtSource
            ? await run.AskAsync(host, AgentMethods.SourceBranchDelete, new SourceBranchDeleteRequest(run.Vm, input.Replica, input.Branch), cancel, stopping)
            : await run.AskAsync(host, AgentMethods.BranchDelete, new BranchDeleteRequest(input.Replica, input.Branch), cancel, stopping);
        if (input.AtSource)
        {
            await db.ForgetRetiredAsync(input.Replica.Value, stopping);
        }

        scene.Tell(run.Vm);
        return new StepResult($"{input.Name} is gone from {host.Name}", [.. removed.Kept.Select(kept => $"{host.Name} keeps {kept}")]);
    }
}
