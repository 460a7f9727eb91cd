using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Jobs;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection.Commands;

/// <summary>
/// Changes of a protected VM's settings, in every state (CFG-14). What the vault alone needs is good from the next start at
/// the target on; what a host needs is sent to it, or taken up when it comes back, and the job says which.
/// </summary>
internal sealed class SettingsCommand(CommandDesk desk)
{
    private const int MostCpus = 4096;
    private const long LeastMemoryBytes = 1L << 20;

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
        return await desk.StartAsync(job, (along, _) => SaveAsync(along, after, cancellationToken), cancellationToken);
    }

    private static async Task<ProtectedVm> ApplyAsync(VaultDb db, ProtectedVm vm, VmSetDto request, CancellationToken cancellationToken)
    {
        if (request.Policy is { } policy)
        {
            await PolicyStore.FindAsync(db, policy, cancellationToken);
        }

        if (request.Name is { } name && name != vm.TargetName)
        {
            await RequireFreeNameAsync(db, vm, name, cancellationToken);
        }

        Check(request);
        return vm with
        {
            Policy = request.Policy ?? vm.Policy,
            TargetName = request.Name ?? vm.TargetName,
            Nics = request.Nics is { } nics ? await NicsAsync(db, vm, nics, cancellationToken) : vm.Nics,
            Cpus = request.Cpus is { } cpus ? (cpus == 0 ? null : cpus) : vm.Cpus,
            MemoryBytes = request.MemoryBytes is { } memory ? (memory == 0 ? null : memory) : vm.MemoryBytes,
            ExcludedDisks = request.ExcludedDisks is { } excluded ? await ExcludedAsync(db, vm, excluded, cancellationToken) : vm.ExcludedDisks,
        };
    }

    public static void Check(VmSetDto request)
    {
        if (request.Cpus is < 0 or > MostCpus)
        {
            throw new ErrorException(Errors.BadValue("cpus", $"{request.Cpus}", $"1 to {MostCpus}, or 0 for as many as at the source"));
        }

        if (request.MemoryBytes is < 0 or (> 0 and < LeastMemoryBytes))
        {
            throw new ErrorException(Errors.BadValue("memoryBytes", $"{request.MemoryBytes}", $"at least {Sizes.Format(LeastMemoryBytes)}, or 0 for as much as at the source"));
        }
    }

    private static async Task RequireFreeNameAsync(VaultDb db, ProtectedVm vm, string name, CancellationToken cancellationToken)
    {
        if (!VmNames.IsLawful(name))
        {
            throw new ErrorException(Errors.BadName("VM", name));
        }

        bool taken = await db.Vms.AnyAsync(row => row.HostId == vm.TargetHost.Value && row.Name == name && row.VmId != vm.Vm.Value, cancellationToken)
            || await db.Protections.AnyAsync(row => row.TargetHost == vm.TargetHost.Value && row.TargetName == name && row.VmId != vm.Vm.Value, cancellationToken);
        if (taken)
        {
            throw new ErrorException(Errors.NameTaken(await CommandDesk.HostNameAsync(db, vm.TargetHost, cancellationToken), name, $"{name}-2"));
        }
    }

    private static async Task<IReadOnlyList<NicPlan>> NicsAsync(VaultDb db, ProtectedVm vm, IReadOnlyList<NicChoiceDto> choices, CancellationToken cancellationToken)
    {
        HostRow target = await db.Hosts.SingleAsync(row => row.Id == vm.TargetHost.Value, cancellationToken);
        (IReadOnlyList<NicPlan> plans, ErrorInfo? error) = NicPlanner.Change(
            vm.Nics,
            [.. choices.Select(nic => new NicChoice(nic.Mac, nic.Network, nic.TestNetwork, nic.NewMac))],
            target.Name,
            HostStore.FactsOf(target)?.Networks ?? []);
        return error is null ? plans : throw new ErrorException(error);
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

        foreach ((NicPlan was, NicPlan now) in before.Nics.Zip(after.Nics).Where(pair => pair.First != pair.Second))
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

    private static async Task SaveAsync(VaultDb db, ProtectedVm vm, CancellationToken cancellationToken)
    {
        ProtectionRow row = await db.Protections.SingleAsync(candidate => candidate.VmId == vm.Vm.Value, cancellationToken);
        row.Policy = vm.Policy;
        row.TargetName = vm.TargetName;
        row.NicsJson = VaultJson.Write(vm.Nics, VaultJson.Default.IReadOnlyListNicPlan);
        row.Cpus = vm.Cpus;
        row.MemoryBytes = vm.MemoryBytes;
        row.ExcludedJson = VaultJson.Write(vm.ExcludedDisks, VaultJson.Default.IReadOnlyListString);
    }
}
