using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

internal static partial class HostCommands
{
    private static readonly Argument<string> _host = new("host") { Description = "Name or id of the host" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "host",
        "Hosts with an agent",
        make.Verb("list", "List the hosts", async (c, ct) => c.Show(
            await c.Vault.ListHostsAsync(ct), CommandContext.Types.IReadOnlyListHostDto, List)),
        make.Verb("show", "Show one host", async (c, ct) => c.Show(
            await c.Vault.GetHostAsync(c.Get(_host), ct), CommandContext.Types.HostDto, One), _host),
        make.Verb("check", "Check a host: reachable, versions, space, clock", CheckAsync, _host),
        Maintenance(make),
        make.Verb("remove", "Remove a host that no protected VM uses", RemoveAsync, _host));

    public static ExitCode ShowChecks(CheckLevel worst, IReadOnlyList<CheckResult> checks, TextWriter output)
    {
        Table table = new("check", "result", "finding", "what to do");
        foreach (CheckResult check in checks)
        {
            table.Row(check.Name, check.Level.Word(), check.Finding, check.Remedy);
        }

        table.WriteTo(output);
        return worst == CheckLevel.Error ? ExitCode.Refused : ExitCode.Done;
    }

    private static async Task<ExitCode> CheckAsync(CommandContext c, CancellationToken ct)
    {
        HostCheckDto result = await c.Vault.CheckHostAsync(c.Get(_host), ct);
        c.Show(result, CommandContext.Types.HostCheckDto, (r, o) => ShowChecks(r.Worst, r.Checks, o));
        return result.Worst == CheckLevel.Error ? ExitCode.Refused : ExitCode.Done;
    }

    private static async Task<ExitCode> RemoveAsync(CommandContext c, CancellationToken ct)
    {
        await c.Vault.RemoveHostAsync(c.Get(_host), ct);
        return c.Say($"host {c.Get(_host)} removed");
    }

    private static void List(IReadOnlyList<HostDto> hosts, TextWriter output)
    {
        Table table = new("name", "site", "online", "vms", "hypervisor", "free memory", "free for replicas", "clock");
        foreach (HostDto host in hosts)
        {
            table.Row(host.Name, host.Site, Show.YesNo(host.Online), $"{host.VmCount}", host.HypervisorVersion,
                Show.Bytes(host.FreeMemoryBytes), Show.Bytes(host.Replicas?.FreeBytes), Show.Seconds(host.ClockDifferenceSeconds));
        }

        table.WriteTo(output);
    }

    private static void One(HostDto host, TextWriter output) => Show.Facts(
        output,
        ("name", host.Name),
        ("id", host.Id.ToString()),
        ("site", host.Site),
        ("online", Show.YesNo(host.Online)),
        ("joined", Show.Time(host.JoinedAt)),
        ("last seen", Show.Time(host.LastSeenAt)),
        ("maintenance", host.Maintenance is { } m ? $"since {Show.Time(m.Since)}, {(m.Until is { } until ? $"until {Show.Time(until)}" : "until its next boot")}{(m.Reason is { } why ? $": {why}" : "")}" : null),
        ("clock difference", Show.Seconds(host.ClockDifferenceSeconds)),
        ("takes replication at", host.ReplicationEndpoint),
        ("agent", host.AgentVersion),
        ("hypervisor", host.HypervisorVersion),
        ("emulator", host.EmulatorVersion),
        ("hardware acceleration", host.HardwareAcceleration is { } kvm ? Show.YesNo(kvm) : null),
        ("CPUs", host.Cpus?.ToString(System.Globalization.CultureInfo.InvariantCulture)),
        ("memory", $"{Show.Bytes(host.FreeMemoryBytes) ?? "?"} free of {Show.Bytes(host.MemoryBytes) ?? "?"}"),
        ("VMs", $"{host.VmCount}"),
        ("networks", string.Join(", ", host.Networks.Select(n => n.Name))),
        ("replicas", Space(host.Replicas)),
        ("spool", Space(host.Spool)),
        ("storage pools", host.Pools is not { Count: > 0 } pools ? null : string.Join("; ", pools.Select(Pool))));

    private static string Pool(HostPool pool) =>
        $"{pool.Name} ({pool.Type}) {(!pool.Active ? "not active" : pool.IsFolder ? $"{pool.Path}, {Show.Bytes(pool.FreeBytes)} free" : "not for replicas")}";

    private static string? Space(StorageSpace? space) =>
        space is null ? null : space.Error ?? $"{space.Path}, {Show.Bytes(space.FreeBytes)} free";
}
