using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

internal static class VmCommands
{
    private static readonly Argument<string> _vm = new("vm") { Description = "Name or id of the VM" };
    private static readonly Option<string> _to = new("--to") { Description = "Host or site that gets the replica", Required = true };
    private static readonly Option<string?> _policy = new("--policy") { Description = "Policy (default: the default policy, every 5 min, 24 h)" };
    private static readonly Option<string?> _name = new("--name") { Description = "Name of the VM at the target (default: its own)" };
    private static readonly Option<string[]> _nic = new("--nic")
    {
        Description = "Choice for one NIC: MAC=NETWORK, or MAC=none to start unplugged, then perhaps ,mac=new and ,test=NETWORK; the rest follow the network map",
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<string?> _point = new("--point") { Description = "Id of a recovery point, its time, or 'latest' (default)" };
    private static readonly Option<string?> _network = new("--network")
    {
        Description = "isolated (default: a network made for the test), mapped, none, or a network of the target",
    };

    private static readonly Option<bool> _unplanned = new("--unplanned") { Description = "Whatever the state of the source; what is newer than the point is lost" };
    private static readonly Option<string?> _confirm = new("--confirm") { Description = "The confirmation word (FAILOVER)" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "vm",
        "Virtual machines",
        make.Verb("list", "List VMs of all hosts", async (c, ct) => c.Show(
            await c.Vault.ListVmsAsync(ct), CommandContext.Types.IReadOnlyListVmDto, List)),
        make.Verb("show", "Show a VM and its protection", async (c, ct) => c.Show(
            await c.Vault.GetVmAsync(c.Get(_vm), ct), CommandContext.Types.VmDto, VmPage.Write), _vm),
        make.Verb("verify", "Say what would stand in the way of protecting a VM", VerifyAsync, _vm, _to, _policy, _name, _nic),
        make.Verb("protect", "Replicate a VM to another host; it runs on undisturbed", ProtectAsync, _vm, _to, _policy, _name, _nic),
        make.Verb("unprotect", "Stop protecting a VM; it stays where it runs, and nothing of ours stays with it", async (c, ct) =>
            await JobWatch.FollowAsync(c, await c.Vault.UnprotectAsync(c.Get(_vm), ct), ct), _vm),
        make.Verb("test", "Start a copy of the VM from a recovery point, beside production", async (c, ct) =>
            await JobWatch.FollowAsync(c, await c.Vault.TestAsync(c.Get(_vm), new TestVmDto(c.Get(_point), c.Get(_network)), ct), ct), _vm, _point, _network),
        make.Verb("failover", "Make the VM run at the target", FailoverAsync, _vm, _unplanned, _point, _confirm),
        make.Verb("commit", "Make a failover final: the VM ends on ordinary images, and runs all the while", async (c, ct) =>
            await JobWatch.FollowAsync(c, await c.Vault.CommitAsync(c.Get(_vm), ct), ct), _vm));

    private static ProtectDto Request(CommandContext c) =>
        new(c.Get(_to)!, c.Get(_policy), c.Get(_name), [.. c.Get(_nic)!.Select(NicChoiceWords.Read)]); // --to is required, --nic has a default

    private static async Task<ExitCode> VerifyAsync(CommandContext c, CancellationToken ct)
    {
        VmVerifyDto result = await c.Vault.VerifyVmAsync(c.Get(_vm), Request(c), ct);
        c.Show(result, CommandContext.Types.VmVerifyDto, (r, o) => HostCommands.ShowChecks(r.Worst, r.Checks, o));
        return result.Worst == CheckLevel.Error ? ExitCode.Refused : ExitCode.Done;
    }

    private static async Task<ExitCode> ProtectAsync(CommandContext c, CancellationToken ct) =>
        await JobWatch.FollowAsync(c, await c.Vault.ProtectAsync(c.Get(_vm), Request(c), ct), ct);

    private static async Task<ExitCode> FailoverAsync(CommandContext c, CancellationToken ct)
    {
        string vm = c.Get(_vm);
        string? word = c.Get(_confirm);
        if (c.Get(_unplanned) && word is null && !c.Json)
        {
            word = await AskAsync(c, await c.Vault.PreviewFailoverAsync(vm, ct), ct);
        }

        FailoverDto request = new(c.Get(_unplanned), c.Get(_point), word);
        return await JobWatch.FollowAsync(c, await c.Vault.FailoverAsync(vm, request, ct), ct);
    }

    /// <summary>Shows what may still be running and what would be lost, and takes the word; null when nobody is there to ask.</summary>
    private static async Task<string?> AskAsync(CommandContext c, FailoverPreviewDto preview, CancellationToken ct)
    {
        c.Io.Error.WriteLine($"{preview.Vm}: the source is {preview.Source.Word()}");
        foreach (string warning in preview.Warnings)
        {
            c.Io.Error.WriteLine($"  {warning}");
        }

        if (!c.Io.Interactive || Console.IsInputRedirected)
        {
            return null;
        }

        c.Io.Error.Write($"Type {preview.ConfirmationWord} to start it on {preview.TargetHost}: ");
        return (await Console.In.ReadLineAsync(ct))?.Trim();
    }

    private static void List(IReadOnlyList<VmDto> vms, TextWriter output)
    {
        Table table = new("name", "host", "site", "power", "state", "health", "rpo", "last point");
        foreach (VmDto vm in vms)
        {
            table.Row(vm.Name, vm.Host, vm.Site, vm.Power.Word(), vm.State.Word(), vm.Protection?.Health.Level.Word(),
                Show.Seconds(vm.Protection?.RpoSeconds), Show.Time(vm.Protection?.LastPoint?.CutAt));
        }

        table.WriteTo(output);
    }
}
