using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection.Commands;

/// <summary>What is chosen for a VM at its target (CFG-6), for one run or for all: refused when it is said, not when the source is
/// off already.</summary>
internal static class AtTarget
{
    /// <exception cref="ErrorException">A choice cannot be carried out at the target.</exception>
    public static async Task<RunChoices> RunAsync(VaultDb db, ProtectedVm vm, RunDto? run, CancellationToken cancellationToken)
    {
        if (run is null)
        {
            return RunChoices.None;
        }

        await RequireHardwareAsync(db, vm, run.Cpus, run.MemoryBytes, cancellationToken);
        if (run.Name is { } name && name != vm.TargetName)
        {
            await RequireFreeNameAsync(db, vm, name, cancellationToken);
        }

        string[] chosen = [.. (run.Nics ?? []).Select(nic => nic.Mac)];
        IReadOnlyList<NicPlan> plans = chosen.Length == 0 ? [] : await NicsAsync(db, vm, run.Nics!, cancellationToken); // not null: it has some
        return new RunChoices(
            run.Name,
            chosen.Length == 0 ? null : [.. plans.Where(plan => chosen.Contains(plan.Mac, StringComparer.OrdinalIgnoreCase))],
            run.Cpus,
            run.MemoryBytes);
    }

    public static async Task RequireHardwareAsync(VaultDb db, ProtectedVm vm, int? cpus, long? memoryBytes, CancellationToken cancellationToken)
    {
        if (cpus is null && memoryBytes is null)
        {
            return;
        }

        HostRow target = await FindTargetAsync(db, vm, cancellationToken);
        RequireHardware(cpus, memoryBytes, target, (await FindVmAsync(db, vm, cancellationToken))?.MachineType);
    }

    public static void RequireHardware(int? cpus, long? memoryBytes, HostRow target, string? machineType)
    {
        if (HardwareChecks.Evaluate(cpus, memoryBytes, target.Name, HostStore.FactsOf(target), machineType) is { } error)
        {
            throw new ErrorException(error);
        }
    }

    public static async Task RequireFreeNameAsync(VaultDb db, ProtectedVm vm, string name, CancellationToken cancellationToken)
    {
        if (!VmNames.IsLawful(name))
        {
            throw new ErrorException(Errors.BadName("VM", name));
        }

        HashSet<string> taken = await NamesAsync(db, vm.TargetHost.Value, vm.Vm, cancellationToken);
        if (taken.Contains(name))
        {
            throw new ErrorException(Errors.NameTaken(await CommandDesk.HostNameAsync(db, vm.TargetHost, cancellationToken), name, VmNames.NextFree(name, taken)));
        }
    }

    public static async Task<IReadOnlyList<NicPlan>> NicsAsync(VaultDb db, ProtectedVm vm, IReadOnlyList<NicChoiceDto> choices, CancellationToken cancellationToken)
    {
        HostRow target = await FindTargetAsync(db, vm, cancellationToken);
        IReadOnlyList<NicPlan> known = [.. vm.Nics, .. await NewNicsAsync(db, vm, choices, cancellationToken)];
        (IReadOnlyList<NicPlan> plans, ErrorInfo? error) = NicPlanner.Change(known, Choices(choices), target.Name, HostStore.FactsOf(target)?.Networks ?? []);
        return error is null ? plans : throw new ErrorException(error);
    }

    /// <summary>Chosen NICs that the VM got at its source since it was protected.</summary>
    private static async Task<IEnumerable<NicPlan>> NewNicsAsync(VaultDb db, ProtectedVm vm, IReadOnlyList<NicChoiceDto> choices, CancellationToken cancellationToken)
    {
        DiscoveredVm? discovered = await FindVmAsync(db, vm, cancellationToken);
        return (discovered?.Nics ?? [])
            .Where(nic => choices.Any(choice => IsOf(nic.Mac, choice.Mac)) && !vm.Nics.Any(plan => IsOf(plan.Mac, nic.Mac)))
            .Select(nic => new NicPlan(nic.Mac, null, null, null));

        static bool IsOf(string left, string right) => string.Equals(left, right, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>As its source's agent last saw it, or any other one.</summary>
    private static async Task<DiscoveredVm?> FindVmAsync(VaultDb db, ProtectedVm vm, CancellationToken cancellationToken)
    {
        string? json = await db.Vms.Where(row => row.VmId == vm.Vm.Value).OrderBy(row => row.HostId != vm.SourceHost.Value).Select(row => row.VmJson)
            .FirstOrDefaultAsync(cancellationToken);
        return VaultJson.Read(json, VaultJson.Default.DiscoveredVm);
    }

    public static IReadOnlyList<NicChoice> Choices(IReadOnlyList<NicChoiceDto>? choices) =>
        [.. (choices ?? []).Select(nic => new NicChoice(nic.Mac, nic.Network, nic.TestNetwork, nic.NewMac))];

    /// <summary>Names that are taken at a host, by VMs, tests, and what replicas there will be called.</summary>
    /// <param name="but">The VM whose own names do not count.</param>
    public static async Task<HashSet<string>> NamesAsync(VaultDb db, Guid host, VmId? but, CancellationToken cancellationToken)
    {
        Guid own = but?.Value ?? Guid.Empty;
        return
        [
            .. await db.Vms.Where(row => row.HostId == host && row.VmId != own).Select(row => row.Name).ToListAsync(cancellationToken),
            .. await db.Protections.Where(row => row.TargetHost == host && row.VmId != own).Select(row => row.TargetName).ToListAsync(cancellationToken),
            .. await db.Tests.Join(db.Protections.Where(row => row.TargetHost == host), test => test.VmId, row => row.VmId, (test, _) => test.VmName)
                .ToListAsync(cancellationToken),
        ];
    }

    public static Task<HostRow> FindTargetAsync(VaultDb db, ProtectedVm vm, CancellationToken cancellationToken) =>
        db.Hosts.AsNoTracking().SingleAsync(row => row.Id == vm.TargetHost.Value, cancellationToken);
}
