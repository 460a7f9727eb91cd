using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Jobs;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection.Commands;

/// <summary>
/// Changes of a protected VM's settings, in every state (CFG-14). What the vault alone needs is good from the next start at
/// the target on; what a host needs is sent to it, or taken up when it comes back, and the job says which.
/// </summary>
internal sealed class SettingsCommand(CommandDesk desk)
{
    public async Task<JobId> RunAsync(string vmName, VmSetDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Set, cancellationToken);
        ProtectedVm before = subject.Vm;
        ProtectedVm after = await ApplyAsync(db, before, request, cancellationToken);
        List<string> changed = Differences(before, after);
        if (changed.Count == 0)
        {
            throw new ErrorException(Errors.MissingValue("a setting that differs"));
        }

        SettingsInput input = new(before.Replica, changed, Disks: !before.ExcludedDisks.SequenceEqual(after.ExcludedDisks));
        NewJob job = new(before.Vm, before.Name, subject.Go.Action, subject.Go.Steps, input, user);
        return await desk.StartAsync(job, (along, _) => SaveAsync(along, before, request, cancellationToken), cancellationToken);
    }

    private static async Task<ProtectedVm> ApplyAsync(VaultDb db, ProtectedVm vm, VmSetDto request, CancellationToken cancellationToken)
    {
        if (request.Policy is { } policy)
        {
            await PolicyStore.FindAsync(db, policy, cancellationToken);
        }

        if (request.Name is { } name && name != vm.TargetName)
        {
            await AtTarget.RequireFreeNameAsync(db, vm, name, cancellationToken);
        }

        await AtTarget.RequireHardwareAsync(db, vm, request.Cpus, request.MemoryBytes, cancellationToken);
        if (request.Pool is { } pool && pool != (vm.Pool ?? HostPool.None))
        {
            throw new ErrorException(Errors.PoolStays(vm.Name, vm.Pool is { } stays ? $"storage pool {stays}" : "the agent's own folders"));
        }

        return vm with
        {
            Policy = request.Policy ?? vm.Policy,
            TargetName = request.Name ?? vm.TargetName,
            Nics = request.Nics is { } nics ? await AtTarget.NicsAsync(db, vm, nics, cancellationToken) : vm.Nics,
            Cpus = request.Cpus is { } cpus ? (cpus == 0 ? null : cpus) : vm.Cpus,
            MemoryBytes = request.MemoryBytes is { } memory ? (memory == 0 ? null : memory) : vm.MemoryBytes,
            ExcludedDisks = request.ExcludedDisks is { } excluded ? await ExcludedAsync(db, vm, excluded, cancellationToken) : vm.ExcludedDisks,
        };
    }

    private static async Task<IReadOnlyList<string>> ExcludedAsync(VaultDb db, ProtectedVm vm, IReadOnlyList<string> excluded, CancellationToken cancellationToken)
    {
        string? json = await db.Vms.Where(row => row.HostId == vm.SourceHost.Value && row.VmId == vm.Vm.Value).Select(row => row.VmJson).SingleOrDefaultAsync(cancellationToken);
        DiscoveredVm discovered = VaultJson.Read(json, VaultJson.Default.DiscoveredVm) ?? throw new ErrorException(Errors.UnknownVm(vm.Name));
        return VmChecks.Excluded(discovered, excluded) is { } error ? throw new ErrorException(error) : [.. excluded.Distinct().Order(StringComparer.Ordinal)];
    }

    private static List<string> Differences(ProtectedVm before, ProtectedVm after)
    {
        List<string> changed = [];
        Say("policy", before.Policy, after.Policy);
        Say("name", before.TargetName, after.TargetName);
        Say("CPUs", before.Cpus?.ToString(System.Globalization.CultureInfo.InvariantCulture), after.Cpus?.ToString(System.Globalization.CultureInfo.InvariantCulture));
        Say("memory", before.MemoryBytes is { } old ? Sizes.Format(old) : null, after.MemoryBytes is { } memory ? Sizes.Format(memory) : null);
        if (!before.ExcludedDisks.SequenceEqual(after.ExcludedDisks))
        {
            changed.Add(after.ExcludedDisks.Count == 0 ? "all disks take part" : $"without disks {string.Join(" ", after.ExcludedDisks)}");
        }

        foreach (NicPlan now in after.Nics.Except(before.Nics))
        {
            changed.Add($"NIC {now.Mac} on {now.TargetNetwork ?? "no network"}{(now.NewMac is { } mac ? $" as {mac}" : "")}");
        }

        return changed;

        void Say(string what, string? was, string? now)
        {
            if (was != now)
            {
                changed.Add($"{what} {(now ?? "as at the source")}");
            }
        }
    }

    /// <summary>The request is applied to what is there by then: another one may have come first, and both count.</summary>
    private static async Task SaveAsync(VaultDb db, ProtectedVm before, VmSetDto request, CancellationToken cancellationToken)
    {
        ProtectionRow row = await db.Protections.SingleOrDefaultAsync(candidate => candidate.VmId == before.Vm.Value && candidate.Replica == before.Replica.Value, cancellationToken)
            ?? throw new ErrorException(Errors.NotProtected(before.Name));
        ProtectedVm vm = await ApplyAsync(db, ProtectionRows.ToModel(row, []), request, cancellationToken);
        row.Policy = vm.Policy;
        row.TargetName = vm.TargetName;
        row.NicsJson = VaultJson.Write(vm.Nics, VaultJson.Default.IReadOnlyListNicPlan);
        row.Cpus = vm.Cpus;
        row.MemoryBytes = vm.MemoryBytes;
        row.ExcludedJson = VaultJson.Write(vm.ExcludedDisks, VaultJson.Default.IReadOnlyListString);
    }
}
