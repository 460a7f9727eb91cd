using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>Tests, the ways over, and what may follow until the commit.</summary>
internal static partial class VmCommands
{
    private static readonly Option<string?> _point = new("--point") { Description = "Id of a recovery point, its time, 'latest' (default), or for a test the name of a branch" };
    private static readonly Option<string> _newPoint = new("--point") { Description = "Id of a recovery point, its time, or 'latest'", Required = true };
    private static readonly Option<string?> _network = new("--network")
    {
        Description = "isolated (default: a network made for the test), mapped, none, or a network of the target",
    };

    private static readonly Option<string?> _label = new("--label") { Description = "What it is for; kept and shown with it" };
    private static readonly Option<bool> _promote = new("--promote") { Description = "Turn the test that stands into a failover, from the same point; what it wrote is kept as a branch" };
    private static readonly Option<string?> _test = new("--test") { Description = "With --promote: name of the test's VM, when several stand" };
    private static readonly Option<bool> _unplanned = new("--unplanned")
    {
        Description = "Whatever the state of the source; what is newer than the point is lost. Without it the VM is shut down, its last change sent, and nothing is lost",
    };

    private static readonly Option<bool> _shutDown = new("--shut-down-source") { Description = "With --unplanned: first try to shut the source down and to send what is left; go on if that fails" };
    private static readonly Option<string?> _shutdownLimit = new("--shutdown-limit") { Description = "How long the guest may take to shut down (default 5min); then you are asked" };
    private static readonly Option<string?> _confirm = new("--confirm") { Description = "The confirmation word (FAILOVER)" };

    private static readonly Option<string?> _offline = new("--confirm") { Description = "The word OFFLINE, when the source is away: the VM runs nowhere until it returns" };

    private static IEnumerable<Command> RecoveryVerbs(CommandFactory make) =>
    [
        make.Verb("test", "Start a copy of the VM from a recovery point or a branch, beside production", TestAsync,
            [_vm, _point, _network, _label, _promote, _test, _confirm, .. RunOptions.All]),
        make.Verb("failover", "Make the VM run at the target", FailoverAsync,
            [_vm, _unplanned, _point, _confirm, _shutDown, _shutdownLimit, _label, .. RunOptions.All]),
        make.Verb("change-point", "Before commit: run the VM from another point; what ran is kept as a branch", async (c, ct) =>
            await JobWatch.FollowAsync(c, await c.Vault.ChangePointAsync(c.Get(_vm), new ChangePointDto(c.Get(_newPoint)!, c.Get(_label), RunOptions.Read(c)), ct), ct), // required
            [_vm, _newPoint, _label, .. RunOptions.All]),
        make.Verb("cancel", "Before commit: give the VM back to its source; what ran is kept as a branch", async (c, ct) =>
            await JobWatch.FollowAsync(c, await c.Vault.CancelFailoverAsync(c.Get(_vm), new CancelFailoverDto(c.Get(_offline)), ct), ct), _vm, _offline),
        make.Verb("commit", "Make a failover final: the VM ends on ordinary images, and runs all the while", async (c, ct) =>
            await JobWatch.FollowAsync(c, await c.Vault.CommitAsync(c.Get(_vm), ct), ct), _vm),
    ];

    private static async Task<ExitCode> TestAsync(CommandContext c, CancellationToken ct)
    {
        if (c.Get(_promote))
        {
            return await PromoteAsync(c, ct);
        }

        TestVmDto request = new(c.Get(_point), c.Get(_network), c.Get(_label), RunOptions.Read(c));
        return await JobWatch.FollowAsync(c, await c.Vault.TestAsync(c.Get(_vm), request, ct), ct);
    }

    private static async Task<ExitCode> PromoteAsync(CommandContext c, CancellationToken ct)
    {
        if (c.Get(_point) is not null || c.Get(_network) is not null)
        {
            throw new ErrorException(Errors.BadValue("--promote", "with --point or --network", "the test's own point becomes the VM, on the failover's networks"));
        }

        RunDto? run = RunOptions.Read(c);
        string? word = c.Get(_confirm) ?? await AskAsync(c, ct);
        return await JobWatch.FollowAsync(c, await c.Vault.PromoteAsync(c.Get(_vm), new PromoteDto(c.Get(_test), word, c.Get(_label), run), ct), ct);
    }

    private static async Task<ExitCode> FailoverAsync(CommandContext c, CancellationToken ct)
    {
        bool unplanned = c.Get(_unplanned);
        RunDto? run = RunOptions.Read(c);
        string? word = c.Get(_confirm) ?? (unplanned ? await AskAsync(c, ct) : null);
        FailoverDto request = new(unplanned, c.Get(_point), word, c.Get(_shutDown), c.Get(_shutdownLimit), c.Get(_label), run);
        return await JobWatch.FollowAsync(c, await c.Vault.FailoverAsync(c.Get(_vm), request, ct), ct);
    }

    /// <summary>Shows what may still be running and what would be lost, and takes the word; null when nobody is there to ask.</summary>
    private static async Task<string?> AskAsync(CommandContext c, CancellationToken ct)
    {
        if (c.Json)
        {
            return null;
        }

        FailoverPreviewDto preview = await c.Vault.PreviewFailoverAsync(c.Get(_vm), ct);
        c.Io.Error.WriteLine($"{preview.Vm}: the source is {preview.Source.Word()}");
        foreach (string warning in preview.Warnings)
        {
            c.Io.Error.WriteLine($"  {warning}");
        }

        if (preview.LossSeconds is { } loss)
        {
            c.Io.Error.WriteLine($"  The newest point is {Show.Seconds(loss)} old.");
        }

        return await Asking.WordAsync(c, preview.ConfirmationWord, $"start it on {preview.TargetHost}", ct);
    }
}
