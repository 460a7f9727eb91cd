using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

internal static partial class HostCommands
{
    private static readonly Argument<string> _host = new("host") { Description = "Name or id of the host" };
    private static readonly Option<string?> _name = new("--name") { Description = "What it is called from now on" };
    private static readonly Option<string?> _proxy = new("--proxy") { Description = "HTTP CONNECT proxy towards the vault, http://NAME:PORT; tried first, for a minute" };
    private static readonly Option<bool> _noProxy = new("--no-proxy") { Description = "No proxy any more; tried first as well" };
    private static readonly Option<string?> _why = new("--reason") { Description = "Why; stays in the event" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "host",
        "Hosts with an agent",
        make.Verb("list", "List the hosts", async (c, ct) => c.Show(
            await c.Vault.ListHostsAsync(ct), CommandContext.Types.IReadOnlyListHostDto, List)),
        make.Verb("show", "Show one host", async (c, ct) => c.Show(
            await c.Vault.GetHostAsync(c.Get(_host), ct), CommandContext.Types.HostDto, One), _host),
        make.Verb("check", "Check a host: reachable, versions, CPU, firmware, space, networks, clock", CheckAsync, _host),
        Maintenance(make),
        make.Verb("set", "Change a host's name, or the proxy by which it dials the vault", SetAsync, _host, _name, _proxy, _noProxy),
        make.Verb("remove", "Remove a host that no protected VM uses", RemoveAsync, _host, _why));

    /// <summary>A new proxy is answered when it has been tried: the agent goes back when the vault is not reached through it.</summary>
    private static async Task<ExitCode> SetAsync(CommandContext c, CancellationToken ct)
    {
        string? proxy = LocalSettingCommands.ProxyOf(c.Get(_proxy), c.Get(_noProxy));
        string? name = c.Get(_name);
        if (proxy is null && name is null)
        {
            throw new ErrorException(Errors.MissingValue("--name, --proxy or --no-proxy"));
        }

        if (proxy is not null && !c.Json)
        {
            c.Io.Error.WriteLine($"{c.Get(_host)} tries {(proxy == ProxyState.None ? "without a proxy" : proxy)} for up to {Durations.Format(ProxyState.TrialLimit)} …");
        }

        HostDto host = await c.Vault.SetHostAsync(c.Get(_host), new HostSetDto(name, proxy), ct);
        return c.Show(host, CommandContext.Types.HostDto, (h, o) => o.WriteLine(
            $"{h.Name}{(proxy is null ? "" : $" dials the vault {(h.Proxy?.Proxy is { } through ? $"through {through}" : "without a proxy")}")}"));
    }

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
        string? reason = c.Get(_why);
        if (reason is null && Asking.Can(c))
        {
            reason = await Asking.TextAsync(c, $"Why is {c.Get(_host)} removed?", "", ct);
        }

        await c.Vault.RemoveHostAsync(c.Get(_host), reason, ct);
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
        ("shows the vault", host.Visible is { } rule ? $"{(rule == VmRule.AllText ? "all its VMs" : $"VMs {rule}")} (its owner's rule)" : null),
        ("proxy to the vault", host.Proxy is { } way ? $"{way.Proxy ?? "none"}{(way.OnTrial ? ", on trial" : "")}{(way.Problem is { } problem ? $". {problem}" : "")}" : null),
        ("networks", string.Join(", ", host.Networks.Select(n => n.Name))),
        ("replicas", Space(host.Replicas)),
        ("spool", Space(host.Spool)),
        ("storage pools", host.Pools is not { Count: > 0 } pools ? null : string.Join("; ", pools.Select(Pool))));

    private static string Pool(HostPool pool) =>
        $"{pool.Name} ({pool.Type}) {(!pool.Active ? "not active" : pool.IsFolder ? $"{pool.Path}, {Show.Bytes(pool.FreeBytes)} free" : "not for replicas")}";

    private static string? Space(StorageSpace? space) =>
        space is null ? null : space.Error ?? $"{space.Path}, {Show.Bytes(space.FreeBytes)} free";
}
