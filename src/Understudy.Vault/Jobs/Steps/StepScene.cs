using Microsoft.EntityFrameworkCore;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Events;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>What every step finds and leaves: the protection it works on, as the database has it now.</summary>
internal sealed class StepScene(VaultStorage storage, EventJournal events, Changes changes)
{
    public EventJournal Events => events;

    public VaultDb Open() => storage.Open();

    /// <summary>The protection, with the rows of its hosts.</summary>
    /// <exception cref="ErrorException">It has ended.</exception>
    public async Task<(ProtectedVm Vm, HostRow Source, HostRow Target)> LoadAsync(StepRun run, CancellationToken cancellationToken)
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

    public async Task<bool> IsProtectedAsync(StepRun run, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        return await db.Protections.AnyAsync(row => row.VmId == run.Vm.Value && row.Replica == run.Input.Replica.Value, cancellationToken);
    }

    public async Task<Policy> PolicyOfAsync(ProtectedVm vm, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        return await db.PolicyOfAsync(vm.Policy, cancellationToken);
    }

    /// <summary>The VM as its source's agent last saw it.</summary>
    public async Task<DiscoveredVm> DiscoveredAsync(ProtectedVm vm, HostRow source, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        string? json = await db.Vms.Where(row => row.HostId == source.Id && row.VmId == vm.Vm.Value).Select(row => row.VmJson).SingleOrDefaultAsync(cancellationToken);
        return VaultJson.Read(json, VaultJson.Default.DiscoveredVm) ?? throw new ErrorException(Errors.UnknownVm(vm.Name));
    }

    public async Task SetStageAsync(StepRun run, ProtectionStage stage, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        await db.SetStageAsync(run.Vm, stage, cancellationToken);
        Tell(run.Vm);
    }

    public async Task SetFailingOverAsync(StepRun run, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        await db.SetFailingOverAsync(run.Vm, run.InputAs<FailoverInput>().Running, cancellationToken);
        Tell(run.Vm);
    }

    public void Tell(VmId vm) => changes.Publish(Changes.Vm(vm.Value));

    /// <summary>Ends when something about the VM has changed; take it before reading.</summary>
    public Task NextOf(VmId vm) => changes.Next(Changes.Vm(vm.Value));
}
