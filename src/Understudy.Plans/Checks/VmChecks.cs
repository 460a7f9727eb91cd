using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Plans;

/// <summary>Can this VM be protected, and is there room for it at that host (PRO-1)? Errors first stop, warnings only tell.</summary>
public static class VmChecks
{
    /// <param name="target">Null when the target has not reported yet.</param>
    /// <param name="targetVmNames">Names of the VMs and of the replicas' VMs at the target.</param>
    /// <param name="fit">What the target's hypervisor said of processor and firmware (<see cref="FitChecks"/>).</param>
    /// <param name="pool">Where the replica is made; null for the agent's own folders.</param>
    /// <param name="poolError">Why it cannot be made there.</param>
    /// <param name="neighbours">All VMs of the source host.</param>
    /// <param name="nicError">Why a NIC has no place at the target; null when all have.</param>
    public static IReadOnlyList<Finding> Evaluate(
        DiscoveredVm vm,
        string sourceHost,
        string targetHost,
        HostFacts? target,
        IReadOnlyCollection<string> targetVmNames,
        string targetName,
        ErrorInfo? nicError,
        IReadOnlyList<string>? excluded = null,
        IReadOnlyList<Finding>? fit = null,
        HostPool? pool = null,
        ErrorInfo? poolError = null,
        IReadOnlyList<DiscoveredVm>? neighbours = null)
    {
        vm = vm with { Disks = [.. vm.Disks.Where(disk => excluded?.Contains(disk.TargetDevice) != true)] }; // what is left out may be as it likes
        List<Finding> findings = [Power(vm), .. Disks(vm), Name(targetHost, targetVmNames, targetName)];
        if (nicError is not null)
        {
            findings.Add(Finding.Fail("networks", nicError));
        }

        if (target is not null && !SaysMachine(fit))
        {
            findings.Add(Machine(vm, targetHost, target));
        }

        findings.AddRange(fit ?? []);
        if (poolError is not null)
        {
            findings.Add(Finding.Fail("pool", poolError));
        }
        else if (pool is not null)
        {
            findings.Add(Space(vm, $"pool {pool.Name} of {targetHost}", pool.FreeBytes));
        }
        else if (target?.Replicas is { Error: null } space)
        {
            findings.Add(Space(vm, targetHost, space.FreeBytes));
        }

        findings.AddRange(Remarks(vm, sourceHost, targetHost, neighbours ?? []));
        return findings;
    }

    /// <summary>Of a VM that is protected already: would it start at its target, and is something to be known of it?</summary>
    /// <param name="neighbours">All VMs of the source host.</param>
    public static IReadOnlyList<Finding> EvaluateProtected(
        DiscoveredVm vm, ProtectedVm protection, string sourceHost, string targetHost, HostFacts? target, IReadOnlyList<Finding> fit, IReadOnlyList<DiscoveredVm> neighbours)
    {
        vm = vm with { Disks = [.. vm.Disks.Where(disk => !protection.ExcludedDisks.Contains(disk.TargetDevice))] };
        List<Finding> findings = [.. fit, .. Remarks(vm, sourceHost, targetHost, neighbours)];
        if (target is null)
        {
            return findings;
        }

        if (!SaysMachine(fit))
        {
            findings.Add(Machine(vm, targetHost, target));
        }

        long memory = protection.MemoryBytes ?? vm.MemoryBytes;
        findings.Add(target.FreeMemoryBytes < memory
            ? Finding.Fail("memory", Errors.NoMemory(targetHost, memory, target.FreeMemoryBytes))
            : Finding.Pass("memory", $"{Sizes.Format(memory)} needed, {Sizes.Format(target.FreeMemoryBytes)} free at {targetHost}."));
        string[] missing = [.. protection.Nics.SelectMany(nic => new[] { nic.TargetNetwork, nic.TestNetwork }).OfType<string>().Where(name => target.Networks.All(network => network.Name != name)).Distinct()];
        findings.AddRange(missing.Select(name => Finding.Fail("networks", Errors.UnknownNetwork(targetHost, name))));
        if (missing.Length == 0)
        {
            findings.Add(Finding.Pass("networks", protection.Nics.Count == 0 ? "The VM has no NIC." : $"{string.Join(", ", protection.Nics.Select(nic => $"{nic.Mac} on {nic.TargetNetwork ?? "none"}"))}."));
        }

        return findings;
    }

    /// <summary>The hypervisor itself has said what is wrong with it.</summary>
    private static bool SaysMachine(IReadOnlyList<Finding>? fit) => fit?.Any(finding => finding.Check.Name == "machine") == true;

    private static IEnumerable<Finding> Remarks(DiscoveredVm vm, string sourceHost, string targetHost, IReadOnlyList<DiscoveredVm> neighbours)
    {
        foreach (string thing in vm.LeftBehind ?? [])
        {
            yield return Finding.Warn("devices", $"{thing} is of {sourceHost}, and {vm.Name} starts without it at {targetHost}.",
                "See with a test failover that it works without; the recovered VM can be given such a device of its own host's.");
        }

        foreach (IGrouping<DiscoveredVm, DiscoveredDisk> both in SameImages(vm, neighbours).ToLookup(found => found.Other, found => found.Disk))
        {
            string disks = string.Join(", ", both.Select(disk => $"{disk.TargetDevice} ({disk.Source})"));
            yield return Finding.Warn("same disk", $"{both.Key.Name} at {sourceHost} has the same image as {vm.Name} for {disks}.",
                $"Let one of them have it: what {both.Key.Name} writes while {vm.Name} is off may be in no recovery point, and after a failover neither may start at {sourceHost}.");
        }

        if (!vm.HasGuestAgentChannel)
        {
            yield return Finding.Warn("guest agent", $"{vm.Name} has no guest agent channel.", "Points are crash-consistent without it; install qemu-guest-agent for more.");
        }

        if (vm.HasSnapshots)
        {
            yield return Finding.Warn("snapshots", $"{vm.Name} has snapshots at {sourceHost}.", "Do not revert to one while the VM is protected: libvirt drops the change tracking.");
        }
    }

    /// <summary>May these disks be left out (CFG-9)? Null when they may.</summary>
    public static ErrorInfo? Excluded(DiscoveredVm vm, IReadOnlyList<string> excluded)
    {
        string[] disks = [.. vm.Disks.Where(IsReplicated).Select(disk => disk.TargetDevice)];
        return excluded.FirstOrDefault(name => !disks.Contains(name)) is { } unknown
                ? Errors.BadValue("disk", unknown, $"VM {vm.Name} has {string.Join(", ", disks)}")
            : disks.Length > 0 && disks.All(excluded.Contains)
                ? Errors.BadValue("excluded disks", string.Join(", ", excluded), "nothing would be left to protect")
            : null;
    }

    /// <summary>By the names that the definitions give: two that lead to one file by links are not seen here.</summary>
    private static IEnumerable<(DiscoveredDisk Disk, DiscoveredVm Other)> SameImages(DiscoveredVm vm, IReadOnlyList<DiscoveredVm> neighbours) =>
        from disk in vm.Disks.Where(IsReplicated)
        where disk is { SourceType: "file" or "block" or "volume", Source: not null }
        from other in neighbours
        where other.Id != vm.Id && other.Disks.Any(its => its.SourceType is "file" or "block" or "volume" && its.Source == disk.Source)
        select (disk, other);

    private static bool IsReplicated(DiscoveredDisk disk) => disk is { Device: "disk", ReadOnly: false };

    private static Finding Power(DiscoveredVm vm) => vm.Power is VmPower.Running or VmPower.Paused or VmPower.PausedIoError
        ? Finding.Pass("running", $"VM {vm.Name} is {vm.Power.Word()}.")
        : Finding.Fail("running", $"VM {vm.Name} is {vm.Power.Word()}, and this version protects running VMs", "Start it.", check => Errors.VmUnsuitable(vm.Name, check));

    private static IEnumerable<Finding> Disks(DiscoveredVm vm)
    {
        DiscoveredDisk[] disks = [.. vm.Disks.Where(IsReplicated)];
        if (disks.Length == 0)
        {
            yield return Unsuitable(vm, "disks", $"VM {vm.Name} has no disk that could be replicated", "Add one.");
        }

        foreach (DiscoveredDisk disk in disks)
        {
            yield return disk switch
            {
                { Shareable: true } => Unsuitable(vm, disk.TargetDevice, $"disk {disk.TargetDevice} is shared between VMs", "Take it out of the VM."),
                { Format: not "qcow2" } => Unsuitable(vm, disk.TargetDevice, $"disk {disk.TargetDevice} is {disk.Format}, which has no change tracking",
                    "Convert it: `qemu-img convert -O qcow2`."),
                { SourceType: not ("file" or "block" or "volume") } => Unsuitable(vm, disk.TargetDevice, $"disk {disk.TargetDevice} is on a {disk.SourceType} source, which cannot be read while the VM is off",
                    "Move it to a file or a block device of the host, or leave it out (`--exclude`)."),
                _ => Finding.Pass(disk.TargetDevice, $"{disk.Format}, {Sizes.Format(disk.SizeBytes)}."),
            };
        }
    }

    private static Finding Name(string targetHost, IReadOnlyCollection<string> taken, string targetName)
    {
        if (!VmNames.IsLawful(targetName))
        {
            return Finding.Fail("name", Errors.BadName("VM", targetName));
        }

        return taken.Contains(targetName)
            ? Finding.Fail("name", Errors.NameTaken(targetHost, targetName, VmNames.NextFree(targetName, taken)))
            : Finding.Pass("name", $"It will be called {targetName} at {targetHost}.");
    }

    /// <summary>A machine that the target's QEMU does not know is found out now, not on the night of the failover.</summary>
    private static Finding Machine(DiscoveredVm vm, string targetHost, HostFacts target) =>
        target.HypervisorError is null && !target.MachineTypes.Contains(vm.MachineType)
            ? Unsuitable(vm, "machine", $"host {targetHost} does not know the machine type {vm.MachineType}", "Bring QEMU there to the source's version, or give the VM an older machine type.")
            : Finding.Pass("machine", $"{vm.MachineType}, {vm.Firmware}.");

    /// <summary>A replica can grow to the full size of its disks, so thin images do not count as smaller.</summary>
    private static Finding Space(DiscoveredVm vm, string where, long freeBytes)
    {
        long needed = vm.Disks.Where(IsReplicated).Sum(disk => disk.SizeBytes);
        return freeBytes < needed
            ? Finding.Fail("space", Errors.NoSpace(where, needed, freeBytes))
            : Finding.Pass("space", $"{Sizes.Format(needed)} needed at most at first, {Sizes.Format(freeBytes)} free at {where}.");
    }

    private static Finding Unsuitable(DiscoveredVm vm, string name, string text, string remedy) =>
        Finding.Fail(name, text, remedy, check => Errors.VmUnsuitable(vm.Name, check));
}
