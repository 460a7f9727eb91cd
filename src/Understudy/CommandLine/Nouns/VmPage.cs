using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>The page of `vm show`.</summary>
internal static class VmPage
{
    public static void Write(VmDto vm, TextWriter output)
    {
        Show.Facts(
            output,
            ("name", vm.Name),
            ("id", vm.Id.ToString()),
            ("host", $"{vm.Host} ({vm.Site})"),
            ("power", vm.Power.Word()),
            ("state", VmCommands.StateOf(vm)),
            ("tags", vm.Tags.Count == 0 ? null : string.Join(", ", vm.Tags)),
            ("hidden", vm.OnlyWhileProtected ? "by its host's rule, when its protection ends" : null),
            ("machine", $"{vm.Cpus} CPUs, {Show.Bytes(vm.MemoryBytes)}, {vm.MachineType}, {vm.Firmware}"));
        foreach (DiscoveredDisk disk in vm.Disks)
        {
            output.WriteLine($"  disk {disk.TargetDevice}: {Show.Bytes(disk.SizeBytes)} {disk.Format}, {disk.Source ?? disk.SourceType}");
        }

        foreach (DiscoveredNic nic in vm.Nics)
        {
            output.WriteLine($"  NIC {nic.Mac}: {nic.Network ?? "no network"}");
        }

        foreach (BranchDto branch in vm.Branches)
        {
            output.WriteLine($"  branch {branch.Name}: {branch.Kind.Word()} at {branch.Host}, {Show.Bytes(branch.Bytes)}, {(branch.ExpiresAt is { } at ? $"goes {Show.Time(at)}" : "kept until it is deleted by name")}");
        }

        if (vm.Protection is { } protection)
        {
            output.WriteLine();
            Write(protection, output);
        }
    }

    private static void Write(ProtectionDto p, TextWriter output)
    {
        Show.Facts(
            output,
            ("direction", p.Direction),
            ("active site", p.ActiveSite),
            ("target", $"{p.TargetHost}, as {p.TargetName}{(p.Pool is { } pool ? $", in storage pool {pool}" : "")}"),
            ("policy", p.Policy),
            ("health", p.Health.Level.Word()),
            ("failover", p.Failover is { } f ? $"{f.Kind.Word()}, from {Show.Time(f.PointCutAt)}, since {Show.Time(f.StartedAt)}, as {f.VmName}{(f.Label is null ? "" : $", {f.Label}")}" : null),
            ("for this run", RunOf(p.Failover?.Run)),
            ("countdown", p.Countdown is { } countdown ? $"{countdown.Does} in {Show.Seconds(countdown.SecondsLeft)}" : null),
            ("RPO now", Show.Seconds(p.RpoSeconds)),
            ("RPO, 24 h", p.Rpo is { WorstSeconds: { } worst, WithinShare: { } within } ? $"{Show.Percent(within)} of the time within {Show.Seconds(p.Rpo.WarningSeconds)}, at worst {Show.Seconds(worst)}" : null),
            ("last point", p.LastPoint is { } last ? $"{Show.Time(last.CutAt)}  {last.Id}" : null),
            ("points", $"{p.PointCount}, over {Show.Seconds(p.WindowSeconds)}, {Show.Bytes(p.JournalBytes)} of journal"),
            ("next cut", Show.Time(p.NextCutAt)),
            ("behind", p.CatchUpSeconds is { } catchUp ? $"{Show.Bytes(p.BytesBehind)}, caught up in {Show.Seconds(catchUp)}" : Show.Bytes(p.BytesBehind)),
            ("cycles", $"{p.Cycles.Made} made, {p.Cycles.Missed} missed, {p.Cycles.Failed} failed; {Show.Bytes(p.Cycles.AverageBytes)} on average, "
                + $"{Show.Bytes(p.Cycles.LargestBytes)} at most; the last took {Show.Seconds(p.Cycles.LastDurationSeconds) ?? "-"}"),
            ("at the target", Hardware(p)),
            ("job", p.Job is { } job ? $"{job}" : null));
        if (p.Copy is { Seed: { Taken: false } seed })
        {
            output.WriteLine(seed.BytesTotal == 0 ? "  the target reads the seed as soon as the source has told its disks"
                : $"  the target has read {Show.Bytes(seed.BytesDone)} of {Show.Bytes(seed.BytesTotal)} of the seed");
        }

        if (p.Copy is { BytesDone: 0 } && p.NextCutAt is { } begins)
        {
            output.WriteLine($"  the first copy begins at {Show.Time(begins)}");
        }
        else if (p.Copy is { } copy)
        {
            output.WriteLine($"  copied {Show.Bytes(copy.BytesDone)} of {Show.Bytes(copy.BytesTotal)} at {Show.Bytes(copy.BytesPerSecond)}/s"
                + (copy.SecondsLeft is { } left ? $", {Show.Seconds(left)} left" : ""));
        }

        foreach (HealthReason reason in p.Health.Reasons)
        {
            output.WriteLine($"  {reason.Level.Word()}: {reason.Reason}{(reason.Remedy is null ? "" : " " + reason.Remedy)}");
        }

        foreach (TestDto test in p.Tests)
        {
            output.WriteLine($"  test {test.VmName} of {test.Point} since {Show.Time(test.StartedAt)}{(test.Label is null ? "" : $", {test.Label}")}{(test.Job is { } number ? $": job {number}" : ", made at the host")}");
        }

        foreach (MountedDto mount in p.Mounts)
        {
            output.WriteLine($"  {(mount.ToVm is null ? "mounted" : $"attached to {mount.ToVm}")} {mount.Name}: {mount.What}, {(mount.Writable ? "writable" : "read only")}, {string.Join(" ", mount.Devices)}");
        }

        if (p.Deposed is { } deposed)
        {
            output.WriteLine($"  the source learned at {Show.Time(deposed.At)} that the VM is elsewhere"
                + (deposed.OverlapSeconds is { } overlap ? deposed.Action == IsolatedSourceAction.CutNics
                    ? $"; both copies were on the network for at most {Show.Seconds(overlap)}, and the old one runs on there, cut off, unless somebody has shut it down"
                    : $"; both copies ran for at most {Show.Seconds(overlap)} ({deposed.Action.Word()})" : "; its copy was off"));
        }

        if (p.Error is { } error)
        {
            output.WriteLine($"  {error.What}. {error.Why} {error.Next}");
        }
    }

    public static void WriteRpo(IReadOnlyList<RpoSampleDto> history, TextWriter output)
    {
        Table table = new("until", "newest point at most");
        foreach (RpoSampleDto sample in history)
        {
            table.Row(Show.Time(sample.At), Show.Seconds(sample.WorstSeconds));
        }

        table.WriteTo(output);
    }

    /// <summary>Only what differs from the stored settings.</summary>
    private static string? RunOf(RunChoices? run)
    {
        string[] chosen =
        [
            .. run?.Name is { } name ? [$"name {name}"] : Array.Empty<string>(),
            .. run?.Cpus is { } cpus ? [cpus == 0 ? "CPUs as in the point" : $"{cpus} CPUs"] : Array.Empty<string>(),
            .. run?.MemoryBytes is { } memory ? [memory == 0 ? "memory as in the point" : Show.Bytes(memory)!] : Array.Empty<string>(), // null only for null
            .. (run?.Nics ?? []).Select(nic => $"NIC {nic.Mac} on {nic.TargetNetwork ?? "no network"}{(nic.NewMac is { } mac ? $" as {mac}" : "")}"),
        ];
        return chosen.Length == 0 ? null : string.Join(", ", chosen);
    }

    private static string? Hardware(ProtectionDto p)
    {
        string[] differs =
        [
            .. p.Cpus is { } cpus ? [$"{cpus} CPUs"] : Array.Empty<string>(),
            .. p.MemoryBytes is { } memory ? [Show.Bytes(memory)] : Array.Empty<string>(),
            .. p.ExcludedDisks.Select(disk => $"without {disk}"),
        ];
        return differs.Length == 0 ? null : string.Join(", ", differs);
    }
}
