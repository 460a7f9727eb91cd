using Understudy.Model;

namespace Understudy.Plans;

/// <summary>Is a host fit for its part (REG-4)? Pure: facts in, findings out.</summary>
public static class HostChecks
{
    /// <summary>Below it sources would soon spool: the reserve a pool keeps, and as much again for the journal.</summary>
    public const long LowSpaceBytes = 4L << 30;

    /// <summary>Less than a small VM takes.</summary>
    public const long LowMemoryBytes = 512L << 20;

    /// <summary>libvirt with incremental backup as docs/protocols need it; QEMU with reopening of backing files.</summary>
    public static readonly Version OldestHypervisor = new(8, 0);
    public static readonly Version OldestEmulator = new(6, 1);

    public static readonly TimeSpan ClockWarning = TimeSpan.FromSeconds(2);
    public static readonly TimeSpan ClockError = TimeSpan.FromMinutes(5);

    /// <param name="clockDifference">The host's clock minus the vault's; null before the first heartbeat.</param>
    public static IReadOnlyList<Finding> Evaluate(string host, bool online, HostFacts? facts, TimeSpan? clockDifference)
    {
        if (!online)
        {
            return [Finding.Fail("connected", Errors.HostOffline(host))];
        }

        List<Finding> findings = [Finding.Pass("connected", "The agent is connected.")];
        if (facts is null)
        {
            findings.Add(Finding.Warn("facts", "The agent has not reported its host yet.", "Check again in a moment."));
            return findings;
        }

        AddHypervisor(host, facts, findings);
        findings.Add(Space("replicas", host, facts.Replicas));
        findings.Add(Space("spool", host, facts.Spool));
        findings.Add(facts.Networks.Count == 0
            ? Finding.Warn("networks", "The host has no networks.", "Make one, or VMs start unplugged there.")
            : Finding.Pass("networks", $"{facts.Networks.Count}: {string.Join(", ", facts.Networks.Select(network => network.Name))}."));
        findings.Add(facts.GuardProblem is { } problem
            ? Finding.Warn("start guard", $"Not in force: {problem}.", "Until then a VM that was taken over by the other site can be started here as well.")
            : Finding.Pass("start guard", "libvirt asks it before every start."));
        findings.Add(Clock(host, clockDifference));
        return findings;
    }

    private static void AddHypervisor(string host, HostFacts facts, List<Finding> findings)
    {
        if (facts.HypervisorError is { } error)
        {
            findings.Add(Finding.Fail("hypervisor", $"libvirt does not answer: {error}", "Start libvirtd there; the agent tries again by itself.",
                check => Errors.HostUnsuitable(host, check)));
            return;
        }

        findings.Add(AtLeast("libvirt", host, facts.HypervisorVersion, OldestHypervisor));
        findings.Add(AtLeast("QEMU", host, facts.EmulatorVersion, OldestEmulator));
        findings.Add(facts.HardwareAcceleration
            ? Finding.Pass("acceleration", "KVM can be used.")
            : Finding.Warn("acceleration", "KVM cannot be used; guests run many times slower.", "Switch virtualisation on in the firmware, and load the kvm module."));
        findings.Add(facts.CpuModel is { } cpu
            ? Finding.Pass("CPU", $"{cpu}, as libvirt names it.")
            : Finding.Pass("CPU", "libvirt has no name for the processor; VMs are compared with it one by one."));
        if (facts.Firmwares is { } firmwares)
        {
            findings.Add(firmwares.Contains("efi")
                ? Finding.Pass("firmware", "BIOS and UEFI.")
                : Finding.Warn("firmware", "BIOS only: libvirt finds no UEFI firmware.", "Install it where VMs with UEFI shall run (Debian and Ubuntu: ovmf)."));
        }

        findings.Add(facts.FreeMemoryBytes < LowMemoryBytes
            ? Finding.Warn("memory", $"{Sizes.Format(facts.FreeMemoryBytes)} of {Sizes.Format(facts.MemoryBytes)} free.", "A VM that fails over here needs its memory free at that moment.")
            : Finding.Pass("memory", $"{Sizes.Format(facts.FreeMemoryBytes)} of {Sizes.Format(facts.MemoryBytes)} free."));
    }

    private static Finding AtLeast(string what, string host, string version, Version oldest)
    {
        if (!Version.TryParse(version, out Version? parsed))
        {
            return Finding.Warn(what, $"The version '{version}' cannot be read.", $"See that it is {oldest} or newer.");
        }

        return parsed >= oldest
            ? Finding.Pass(what, $"Version {version}.")
            : Finding.Fail(what, $"Version {version} is too old.", $"Bring it to {oldest} or newer.", check => Errors.HostUnsuitable(host, check));
    }

    private static Finding Space(string name, string host, StorageSpace space)
    {
        if (space.Error is { } error)
        {
            return Finding.Fail(name, $"{space.Path} cannot be used: {error}", "Make the folder, or name another in the agent's configuration.",
                check => Errors.HostUnsuitable(host, check));
        }

        string text = $"{Sizes.Format(space.FreeBytes)} of {Sizes.Format(space.TotalBytes)} free in {space.Path}.";
        return space.FreeBytes < LowSpaceBytes
            ? Finding.Warn(name, text, $"Keep {Sizes.Format(LowSpaceBytes)} free.")
            : Finding.Pass(name, text);
    }

    private static Finding Clock(string host, TimeSpan? difference)
    {
        if (difference is not { } known)
        {
            return Finding.Warn("clock", "The clock has not been compared yet.", "Check again in a moment.");
        }

        string text = $"The clock is {Durations.Rough(known.Duration())} {(known < TimeSpan.Zero ? "behind" : "ahead of")} the vault's.";
        if (known.Duration() >= ClockError)
        {
            return Finding.Fail("clock", text, "Set the clock; use NTP on all hosts.", check => Errors.HostUnsuitable(host, check));
        }

        return known.Duration() >= ClockWarning
            ? Finding.Warn("clock", text, "Times of recovery points are off by as much: use NTP on all hosts.")
            : Finding.Pass("clock", "The clock agrees with the vault's.");
    }
}
