using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

internal static class PolicyCommands
{
    private static readonly Argument<string> _policy = new("policy") { Description = "Name of the policy" };
    private static readonly Option<string?> _mode = new("--mode") { Description = "periodic" };
    private static readonly Option<string?> _frequency = new("--frequency") { Description = "From one cut to the next: 15s to 24h (default 5min)" };
    private static readonly Option<string?> _retention = new("--retention") { Description = "How far back points are kept: 0 (newest only) to 30d (default 24h)" };
    private static readonly Option<bool?> _compression = new("--compression") { Description = "Compress what is sent and kept: true (default) or false" };
    private static readonly Option<bool?> _networkMap = new("--use-network-map") { Description = "NICs follow the network map (default), or start unplugged" };
    private static readonly Option<string?> _startTime = new("--start-time") { Description = "When first copies begin: now (default), or a full or half hour in UTC, e.g. 22:30" };
    private static readonly Option<string?> _commit = new("--commit") { Description = "'by hand' takes --commit-after and --cancel-after back" };
    private static readonly Option<string?> _commitAfter = new("--commit-after") { Description = "Commit a failover by itself after this, e.g. 30min; never (default)" };
    private static readonly Option<string?> _cancelAfter = new("--cancel-after") { Description = "Cancel a planned failover by itself after this; never (default)" };
    private static readonly Option<int?> _branchDays = new("--branch-days") { Description = "How long branches are kept at a target: 1 to 365 (default 7)" };
    private static readonly Option<string?> _guard = new("--guard") { Description = "A VM whose host boots where nobody answers: hold (default), or 'start after 10min'" };
    private static readonly Option<string?> _isolated = new("--isolated-source") { Description = "A copy that still runs after its VM was taken over: pause (default), 'shut down' or 'cut NICs'" };
    private static readonly Option<string?> _bookmarks = new("--bookmarks") { Description = "Points marked by the clock, in UTC, e.g. '22:00' or 'sun 03:30, wed 12:00'; none (default)" };
    private static readonly Option<string?> _rpoWarning = new("--rpo-warning") { Description = "Age of the newest point that is a warning; usual (default) is one and a half frequencies" };
    private static readonly Option<string?> _rpoCritical = new("--rpo-critical") { Description = "Age that is critical; usual (default) is two frequencies" };
    private static readonly Option<string?> _rpoCriticalAfter = new("--rpo-critical-after") { Description = "How long beyond it; usual (default) is three cycles or 60s, whichever is shorter" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "policy",
        "How VMs are protected",
        make.Verb("list", "List the policies", async (c, ct) => c.Show(
            await c.Vault.ListPoliciesAsync(ct), CommandContext.Types.IReadOnlyListPolicyDto, List)),
        make.Verb("show", "Show one policy", async (c, ct) => c.Show(
            await c.Vault.GetPolicyAsync(c.Get(_policy), ct), CommandContext.Types.PolicyDto, One), _policy),
        make.Verb(
            "set", "Make or change a policy; what is not named keeps its value, and VMs take it up in every state", SetAsync,
            _policy, _mode, _frequency, _retention, _compression, _networkMap, _startTime, _commit, _commitAfter, _cancelAfter, _branchDays,
            _guard, _isolated, _bookmarks, _rpoWarning, _rpoCritical, _rpoCriticalAfter),
        make.Verb("remove", "Remove a policy that no VM uses", RemoveAsync, _policy));

    private static async Task<ExitCode> SetAsync(CommandContext c, CancellationToken ct)
    {
        PolicySetDto request = new()
        {
            Mode = c.Get(_mode),
            Frequency = c.Get(_frequency),
            Retention = c.Get(_retention),
            Compression = c.Get(_compression),
            UseNetworkMap = c.Get(_networkMap),
            StartTime = c.Get(_startTime),
            Commit = c.Get(_commit),
            CommitAfter = c.Get(_commitAfter),
            CancelAfter = c.Get(_cancelAfter),
            BranchDays = c.Get(_branchDays),
            Guard = c.Get(_guard),
            IsolatedSource = c.Get(_isolated),
            Bookmarks = c.Get(_bookmarks),
            RpoWarning = c.Get(_rpoWarning),
            RpoCritical = c.Get(_rpoCritical),
            RpoCriticalAfter = c.Get(_rpoCriticalAfter),
        };
        return c.Show(await c.Vault.SetPolicyAsync(c.Get(_policy), request, ct), CommandContext.Types.PolicyDto, One);
    }

    private static async Task<ExitCode> RemoveAsync(CommandContext c, CancellationToken ct)
    {
        await c.Vault.RemovePolicyAsync(c.Get(_policy), ct);
        return c.Say($"policy {c.Get(_policy)} removed");
    }

    private static void List(IReadOnlyList<PolicyDto> policies, TextWriter output)
    {
        Table table = new("name", "mode", "frequency", "retention", "compression", "network map", "commit", "branches", "used by");
        foreach (PolicyDto p in policies)
        {
            table.Row(p.Name, p.Mode, p.Frequency, p.Retention, Show.YesNo(p.Compression), Show.YesNo(p.UseNetworkMap), p.Commit, $"{p.BranchDays} days", $"{p.UsedBy}");
        }

        table.WriteTo(output);
    }

    private static void One(PolicyDto p, TextWriter output) => Show.Facts(
        output,
        ("name", p.Name),
        ("mode", p.Mode),
        ("frequency", p.Frequency),
        ("retention", p.Retention),
        ("compression", Show.YesNo(p.Compression)),
        ("network map", Show.YesNo(p.UseNetworkMap)),
        ("first copy", p.StartTime),
        ("commit", p.Commit),
        ("commit after", p.CommitAfter),
        ("cancel after", p.CancelAfter),
        ("branches kept", $"{p.BranchDays} days"),
        ("guard", p.Guard),
        ("isolated source", p.IsolatedSource),
        ("bookmarks", p.Bookmarks),
        ("RPO warning", p.RpoWarning),
        ("RPO critical", $"{p.RpoCritical}, after {p.RpoCriticalAfter}"),
        ("used by", $"{p.UsedBy} VMs"));
}
