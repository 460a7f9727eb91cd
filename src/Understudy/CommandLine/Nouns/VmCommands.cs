using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>`understudy vm`: protecting and watching; the ways over are in the other part.</summary>
internal static partial class VmCommands
{
    private static readonly Argument<string> _vm = new("vm") { Description = "Name or id of the VM" };
    private static readonly Option<string> _to = new("--to") { Description = "Host or site that gets the replica", Required = true };
    private static readonly Option<string?> _where = new("--to") { Description = "Host or site that would get the replica; a protected VM has one" };
    private static readonly Option<string?> _policy = new("--policy") { Description = "Policy (default: the default policy, every 5 min, 24 h)" };
    private static readonly Option<string?> _name = new("--name") { Description = "Name of the VM at the target (default: its own)" };
    private static readonly Option<string[]> _nic = new("--nic")
    {
        Description = "Choice for one NIC: MAC=NETWORK, or MAC=none to start unplugged, then perhaps ,mac=new and ,test=NETWORK; the rest follow the network map",
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<int?> _cpus = new("--cpus") { Description = "CPUs at the target (0: as at the source)" };
    private static readonly Option<string?> _memory = new("--memory") { Description = "Memory at the target, e.g. 4GiB (0: as at the source)" };
    private static readonly Option<string[]> _exclude = new("--exclude") { Description = "Leave this disk out, by its device at the guest, e.g. vdb", DefaultValueFactory = _ => [] };
    private static readonly Option<bool> _allDisks = new("--all-disks") { Description = "Leave no disk out any more" };
    private static readonly Option<DateTimeOffset?> _startAt = new("--start-at") { Description = "When the first copy begins, e.g. 2026-11-21T22:30Z (default: now, or the policy's start time)" };
    private static readonly Option<bool> _keep = new("--keep-at-target") { Description = "The VM runs at its target: it stays there as an ordinary one, and its old source stays blocked" };
    private static readonly Option<int?> _hours = new("--rpo-hours") { Description = "Show how old the newest point became in so many hours back, in stretches of five minutes" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "vm",
        "Virtual machines",
        [
            make.Verb("list", "List VMs of all hosts, or those a rule means", async (c, ct) => c.Show(
                await c.Vault.ListVmsAsync(c.GetOptional(VmSelection.Vms), c.Get(VmSelection.Tag)!, ct), CommandContext.Types.IReadOnlyListVmDto, List), // has a default
                VmSelection.Vms, VmSelection.Tag),
            make.Verb("show", "Show a VM and its protection", ShowAsync, _vm, _hours),
            make.Verb("verify", "Say what would stand in the way of protecting a VM, or of starting a protected one at its target", VerifyAsync, _vm, _where, _policy, _name, _nic, _exclude),
            make.Verb(
                "protect", "Replicate a VM to another host, or several by rule; they run on undisturbed", ProtectAsync,
                VmSelection.Vms, VmSelection.Tag, VmSelection.DryRun, _to, _policy, _name, _nic, _cpus, _memory, _exclude, _startAt),
            make.Verb("unprotect", "Stop protecting a VM; it stays where it runs", UnprotectAsync, _vm, _keep),
            make.Verb("set", "Change a protected VM's settings; in every state, and without starting over", SetAsync, _vm, _policy, _name, _nic, _cpus, _memory, _exclude, _allDisks),
            make.Verb("pause", "Stop cutting until it is resumed; points stay", (c, ct) => VmSelection.RunAsync(
                c, "pause", vm => c.Vault.PauseAsync(vm, ct), (vms, tags, preview) => c.Vault.PauseSelectedAsync(new SelectDto(vms, tags, preview), ct), ct),
                VmSelection.Vms, VmSelection.Tag, VmSelection.DryRun),
            make.Verb("resume", "Cut again", (c, ct) => VmSelection.RunAsync(
                c, "resume", vm => c.Vault.ResumeAsync(vm, ct), (vms, tags, preview) => c.Vault.ResumeSelectedAsync(new SelectDto(vms, tags, preview), ct), ct),
                VmSelection.Vms, VmSelection.Tag, VmSelection.DryRun),
            make.Verb("resync", "Read all disks again; every listed point stays good", (c, ct) => VmSelection.RunAsync(
                c, "resynchronise", vm => c.Vault.ResyncAsync(vm, ct), (vms, tags, preview) => c.Vault.ResyncSelectedAsync(new SelectDto(vms, tags, preview), ct), ct),
                VmSelection.Vms, VmSelection.Tag, VmSelection.DryRun),
            .. RecoveryVerbs(make),
        ]);

    private static ProtectDto Request(CommandContext c, string to) => new(
        to,
        c.Get(_policy),
        c.Get(_name),
        [.. c.Get(_nic)!.Select(NicChoiceWords.Read)], // has a default, as the lists below
        c.Get(_cpus),
        Memory(c),
        c.Get(_exclude) is { Length: > 0 } excluded ? excluded : null,
        c.Get(_startAt));

    private static long? Memory(CommandContext c) => c.Get(_memory) is not { } text ? null
        : Sizes.TryParse(text, out long bytes) ? bytes
        : throw new ErrorException(Errors.BadValue("--memory", text, "it is a whole number with a unit, such as 4GiB"));

    private static async Task<ExitCode> ShowAsync(CommandContext c, CancellationToken ct)
    {
        if (c.Get(_hours) is { } hours)
        {
            return c.Show(await c.Vault.ListRpoAsync(c.Get(_vm), hours, ct), CommandContext.Types.IReadOnlyListRpoSampleDto, VmPage.WriteRpo);
        }

        return c.Show(await c.Vault.GetVmAsync(c.Get(_vm), ct), CommandContext.Types.VmDto, VmPage.Write);
    }

    private static async Task<ExitCode> VerifyAsync(CommandContext c, CancellationToken ct)
    {
        VmVerifyDto result = await c.Vault.VerifyVmAsync(c.Get(_vm), Request(c, c.Get(_where) ?? ""), ct);
        c.Show(result, CommandContext.Types.VmVerifyDto, (r, o) => HostCommands.ShowChecks(r.Worst, r.Checks, o));
        return result.Worst == CheckLevel.Error ? ExitCode.Refused : ExitCode.Done;
    }

    private static Task<ExitCode> ProtectAsync(CommandContext c, CancellationToken ct)
    {
        ProtectDto request = Request(c, c.Get(_to)!); // required
        return VmSelection.RunAsync(
            c,
            "protect",
            vm => c.Vault.ProtectAsync(vm, request, ct),
            (vms, tags, preview) => c.Vault.ProtectSelectedAsync(new ProtectSelectedDto(request, vms, tags, preview), ct),
            ct);
    }

    /// <summary>A VM that runs at its target is asked about: where it stays is nothing to be guessed (REG-6).</summary>
    private static async Task<ExitCode> UnprotectAsync(CommandContext c, CancellationToken ct)
    {
        bool keep = c.Get(_keep);
        if (!keep && Asking.Can(c))
        {
            VmDto vm = await c.Vault.GetVmAsync(c.Get(_vm), ct);
            keep = vm.State == ProtectionState.FailedOver
                && await Asking.YesAsync(c, $"{vm.Name} runs at {vm.Host}. Keep it there as an ordinary VM? Its old source stays blocked and is listed as a branch until it is deleted by name.", ct);
        }

        return await JobWatch.FollowAsync(c, await c.Vault.UnprotectAsync(c.Get(_vm), keep, ct), ct);
    }

    private static async Task<ExitCode> SetAsync(CommandContext c, CancellationToken ct)
    {
        string[] nics = c.Get(_nic)!; // has a default, as --exclude
        string[] excluded = c.Get(_exclude)!;
        VmSetDto request = new(
            c.Get(_policy),
            c.Get(_name),
            nics.Length == 0 ? null : [.. nics.Select(NicChoiceWords.Read)],
            c.Get(_cpus),
            Memory(c),
            c.Get(_allDisks) ? [] : excluded.Length == 0 ? null : excluded);
        return await JobWatch.FollowAsync(c, await c.Vault.SetVmAsync(c.Get(_vm), request, ct), ct);
    }

    private static void List(IReadOnlyList<VmDto> vms, TextWriter output)
    {
        Table table = new("name", "host", "site", "power", "state", "health", "rpo", "last point", "tags");
        foreach (VmDto vm in vms)
        {
            table.Row(vm.Name, vm.Host, vm.Site, vm.Power.Word(), StateOf(vm), vm.Protection?.Health.Level.Word(),
                Show.Seconds(vm.Protection?.RpoSeconds), Show.Time(vm.Protection?.LastPoint?.CutAt), string.Join(",", vm.Tags));
        }

        table.WriteTo(output);
    }

    /// <summary>The state, and beside it what it waits for.</summary>
    public static string StateOf(VmDto vm) => vm.Protection switch
    {
        { PausedBy: { } by } => $"{vm.State.Word()} (by {by})",
        { Wait: not ProtectionWait.None and var wait } => $"{vm.State.Word()}, {wait.Word()}",
        _ => vm.State.Word(),
    };
}
