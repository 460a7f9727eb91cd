using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>A host that is to be rebooted (docs/operations/maintenance.md).</summary>
internal static partial class HostCommands
{
    private static readonly Option<DateTimeOffset?> _until = new("--until") { Description = "When it is over by itself, e.g. 2026-11-22T23:00Z (default: once the host has booted)" };
    private static readonly Option<string?> _reason = new("--reason") { Description = "What it is for; kept with the event" };
    private static readonly Option<string?> _shutdownLimit = new("--shutdown-limit") { Description = "How long a guest may take to shut down (default 5min); then its job asks" };
    private static readonly Option<bool> _end = new("--end") { Description = "It is over: the VMs are given back" };
    private static readonly Option<bool> _show = new("--show") { Description = "List the VMs concerned, and change nothing" };

    private static Command Maintenance(CommandFactory make) => make.Verb(
        "maintenance", "Announce a reboot: guests are shut down, their last changes sent, and nothing is read again afterwards", MaintenanceAsync,
        _host, _until, _reason, _shutdownLimit, _end, _show);

    private static async Task<ExitCode> MaintenanceAsync(CommandContext c, CancellationToken ct)
    {
        string host = c.Get(_host);
        if (c.Get(_show))
        {
            return c.Show(await c.Vault.ShowMaintenanceAsync(host, ct), CommandContext.Types.HostMaintenanceDto, Concerned);
        }

        if (c.Get(_end))
        {
            return await EndAsync(c, host, ct);
        }

        HostMaintenanceDto plan = await c.Vault.ShowMaintenanceAsync(host, ct);
        if (plan.Since is null && !c.Get(GlobalOptions.Yes))
        {
            Concerned(plan, c.Io.Error);
            if (Asking.Can(c) && !await Asking.YesAsync(c, $"Put {plan.Host} into maintenance?", ct))
            {
                return ExitCode.Refused;
            }
        }

        HostMaintenanceDto begun = await c.Vault.BeginMaintenanceAsync(host, new MaintenanceBeginDto(c.Get(_until), c.Get(_reason), c.Get(_shutdownLimit)), ct);
        if (!c.NoWait)
        {
            await FollowAsync(c, begun, ct);
            begun = await c.Vault.ShowMaintenanceAsync(host, ct);
        }

        c.Show(begun, CommandContext.Types.HostMaintenanceDto, (m, o) =>
        {
            Concerned(m, o);
            o.WriteLine(m.Vms.All(vm => vm.Ready)
                ? $"{m.Host} is ready for maintenance; {End(m)}"
                : $"{m.Host} is not ready: see the VMs above");
        });
        return c.NoWait || begun.Vms.All(vm => vm.Ready) ? ExitCode.Done : ExitCode.Failed;
    }

    private static async Task<ExitCode> EndAsync(CommandContext c, string host, CancellationToken ct)
    {
        HostMaintenanceDto before = await c.Vault.ShowMaintenanceAsync(host, ct);
        HostMaintenanceDto ended = await c.Vault.EndMaintenanceAsync(host, ct);
        bool whole = c.NoWait || (await FollowAsync(c, before, ct) & ended.Since is null);
        c.Show(ended, CommandContext.Types.HostMaintenanceDto, (m, o) => o.WriteLine(m.Since is null
            ? $"the maintenance of {m.Host} is over"
            : $"the maintenance of {m.Host} ends once the host and its libvirt are there and none of its VMs is busy: `understudy host maintenance {m.Host} --show`"));
        return whole ? ExitCode.Done : ExitCode.Failed;
    }

    /// <returns>False when a job failed.</returns>
    private static async Task<bool> FollowAsync(CommandContext c, HostMaintenanceDto maintenance, CancellationToken ct)
    {
        bool whole = true;
        foreach (long job in maintenance.Vms.Select(vm => vm.Job).OfType<long>())
        {
            JobDto last = await JobWatch.WatchAsync(c, job, null, ct);
            whole &= last.State is not JobState.Failed;
        }

        return whole;
    }

    private static string End(HostMaintenanceDto maintenance) => maintenance.Until is { } until
        ? $"it is over at {Show.Time(until)}, or with --end"
        : "it is over once the host has booted, or with --end";

    private static void Concerned(HostMaintenanceDto maintenance, TextWriter output)
    {
        if (maintenance.Vms.Count == 0)
        {
            output.WriteLine($"no protected VM has anything on {maintenance.Host}");
            return;
        }

        Table table = new("vm", "host is its", "what happens", "job");
        foreach (MaintainedVmDto vm in maintenance.Vms)
        {
            table.Row(vm.Vm, vm.Part, vm.Happens, vm.Job?.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }

        table.WriteTo(output);
    }
}
