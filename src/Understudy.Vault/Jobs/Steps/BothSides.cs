using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs.Steps;

/// <summary>Are both hosts fit now, and is the way between them open?</summary>
internal sealed class BothSides(StepScene scene, HostStore hosts, FitAsker fit)
{
    /// <returns>What both hosts warn of, in sentences.</returns>
    /// <exception cref="ErrorException">A host is not fit, or the way between them is closed.</exception>
    public async Task<string> CheckAsync(StepRun run, ProtectedVm vm, HostRow source, HostRow target, CancellationToken cancel, CancellationToken stopping)
    {
        List<(string Host, Finding Finding)> findings = [];
        foreach (HostRow host in new[] { source, target })
        {
            await run.WaitForAsync(host, cancel, stopping);
            run.Reporter.Report(null, $"checking {host.Name}");
            findings.AddRange((await hosts.CheckAsync(host, stopping)).Select(finding => (host.Name, finding)));
        }

        findings.AddRange((await fit.CheckAsync(await scene.DiscoveredAsync(vm, source, stopping), source, target, stopping)).Select(finding => ("", finding)));

        if (findings.Select(found => found.Finding).FirstOrDefault(finding => finding.Refusal is not null)?.Refusal is { } refusal)
        {
            throw new ErrorException(refusal);
        }

        run.Reporter.Report(null, $"trying the way from {source.Name} to {target.Name}");
        PeerCheckAnswer answer = await run.AskAsync(
            source, AgentMethods.PeerCheck, new PeerCheckRequest(target.ReplicationEndpoint, vm.TargetHost), cancel, stopping);
        if (answer.Error is { } unreachable)
        {
            throw new ErrorException(unreachable);
        }

        return Warnings(findings);
    }

    /// <summary>One that both hosts have is said once.</summary>
    private static string Warnings(IEnumerable<(string Host, Finding Finding)> findings)
    {
        string[] warnings =
        [
            .. findings.Where(found => found.Finding.Check.Level == CheckLevel.Warning)
                .GroupBy(found => found.Finding.Check.Finding, found => found.Host)
                .Select(same => same.Any(host => host.Length > 0) ? $"{string.Join(", ", same)}: {same.Key}" : same.Key),
        ];
        return warnings.Length == 0 ? "no findings" : string.Join(" ", warnings);
    }
}
