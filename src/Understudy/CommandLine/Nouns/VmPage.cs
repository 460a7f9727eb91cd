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
            ("state", vm.State.Word()),
            ("machine", $"{vm.Cpus} CPUs, {Show.Bytes(vm.MemoryBytes)}, {vm.MachineType}, {vm.Firmware}"));
        foreach (DiscoveredDisk disk in vm.Disks)
        {
            output.WriteLine($"  disk {disk.TargetDevice}: {Show.Bytes(disk.SizeBytes)} {disk.Format}, {disk.Source ?? disk.SourceType}");
        }

        foreach (DiscoveredNic nic in vm.Nics)
        {
            output.WriteLine($"  NIC {nic.Mac}: {nic.Network ?? "no network"}");
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
            ("target", $"{p.TargetHost}, as {p.TargetName}"),
            ("policy", p.Policy),
            ("health", p.Health.Level.Word()),
            ("RPO now", Show.Seconds(p.RpoSeconds)),
            ("last point", p.LastPoint is { } last ? $"{Show.Time(last.CutAt)}  {last.Id}" : null),
            ("points", $"{p.PointCount}, over {Show.Seconds(p.WindowSeconds)}, {Show.Bytes(p.JournalBytes)} of journal"),
            ("next cut", Show.Time(p.NextCutAt)),
            ("behind", p.CatchUpSeconds is { } catchUp ? $"{Show.Bytes(p.BytesBehind)}, caught up in {Show.Seconds(catchUp)}" : Show.Bytes(p.BytesBehind)),
            ("cycles", $"{p.Cycles.Made} made, {p.Cycles.Missed} missed, {p.Cycles.Failed} failed; {Show.Bytes(p.Cycles.AverageBytes)} on average, "
                + $"{Show.Bytes(p.Cycles.LargestBytes)} at most; the last took {Show.Seconds(p.Cycles.LastDurationSeconds) ?? "-"}"),
            ("job", p.Job is { } job ? $"{job}" : null));
        if (p.Copy is { } copy)
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
            output.WriteLine($"  test {test.VmName} of {test.Point} since {Show.Time(test.StartedAt)}: job {test.Job}");
        }

        if (p.Error is { } error)
        {
            output.WriteLine($"  {error.What}. {error.Why} {error.Next}");
        }
    }
}
