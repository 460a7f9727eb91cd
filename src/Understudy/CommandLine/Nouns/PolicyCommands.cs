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

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "policy",
        "How VMs are protected",
        make.Verb("list", "List the policies", async (c, ct) => c.Show(
            await c.Vault.ListPoliciesAsync(ct), CommandContext.Types.IReadOnlyListPolicyDto, List)),
        make.Verb("show", "Show one policy", async (c, ct) => c.Show(
            await c.Vault.GetPolicyAsync(c.Get(_policy), ct), CommandContext.Types.PolicyDto, One), _policy),
        make.Verb("set", "Make or change a policy; what is not named keeps its value", SetAsync, _policy, _mode, _frequency, _retention, _compression, _networkMap),
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
        Table table = new("name", "mode", "frequency", "retention", "compression", "network map", "commit", "used by");
        foreach (PolicyDto p in policies)
        {
            table.Row(p.Name, p.Mode, p.Frequency, p.Retention, Show.YesNo(p.Compression), Show.YesNo(p.UseNetworkMap), p.Commit, $"{p.UsedBy}");
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
        ("commit", p.Commit),
        ("used by", $"{p.UsedBy} VMs"));
}
