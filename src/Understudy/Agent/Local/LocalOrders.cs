using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Model;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Runs;
using Understudy.Replication.Receiving;

namespace Understudy.Agent.Local;

/// <summary>What only the host's own command line asks: everything that stands here, by its names.</summary>
internal sealed class LocalOrders(
    AgentIdentity identity, AgentSettings settings, ProxyTrials proxies, HostView view, Visibility visibility, VaultLink link, SourceSide source, TargetSide target, ReplicationReceiver receiver)
{
    public void Register(AgentOperations operations)
    {
        operations.On(LocalMethods.State, (_, _, ct) => StateAsync(ct));
        operations.On(LocalMethods.Claim, (request, _, ct) => OrderAnswer.Of(
            async () => new LocalClaimed(target.Hosts.FirstOrDefault(host => host.Spec.Replica == request.Replica) is { } here
                ? await here.ClaimAsync(request.Start, ct)
                : await source.FindHost(request.Vm, request.Replica).ClaimAsync(request.Start, ct))));
        operations.On(LocalMethods.Forget, (request, _, ct) => OrderAnswer.Of(() => target.ForgetAsync(request.Vm, ct)));
        operations.On(LocalMethods.Configure, async (request, _, ct) =>
        {
            // Read before anything of it is in force: an order that cannot be read changes nothing.
            string? proxy = request.Proxy is { } wanted ? ProxyState.Checked(wanted) : null;
            VmRule? visible = request.Visible is { } rule ? VmRule.Parse("visible", rule) : null;
            if (request.VaultUrls is { } urls)
            {
                await UseVaultAsync(VaultUrls.Checked(urls), request.Untried, ct);
            }

            if (request.Proxy is not null)
            {
                await proxies.BeginAsync(proxy, ct);
            }

            if (visible is not null)
            {
                await settings.ShowAsync(visible, ct);
                await TellAsync(ct);
            }

            return await StateAsync(ct);
        });
    }

    /// <summary>Only what leads to the vault: an agent has no other way to hear that an address was mistyped.</summary>
    private async Task UseVaultAsync(IReadOnlyList<string> urls, bool untried, CancellationToken cancellationToken)
    {
        List<ErrorInfo> problems = [];
        foreach (string url in untried ? [] : urls)
        {
            if (await VaultProbe.AskAsync(new Uri(url), identity, TimeProvider.System, cancellationToken) is { } problem)
            {
                problems.Add(problem);
            }
        }

        if (problems.Count > 0 && problems.Count == urls.Count)
        {
            throw new ErrorException(Errors.VaultNotThere(string.Join(", ", urls), string.Join(" ", problems.Select(problem => $"{problem.What}: {problem.Why}"))));
        }

        await identity.UseVaultAsync(urls, cancellationToken);
        link.Redial();
    }

    /// <summary>At once, not with the next look: what was hidden is to leave the vault now.</summary>
    private async Task TellAsync(CancellationToken cancellationToken)
    {
        link.Post(await view.FactsAsync(cancellationToken));
        if (await view.InventoryAsync(cancellationToken) is { } inventory)
        {
            link.Post(inventory);
        }
    }

    private async Task<LocalState> StateAsync(CancellationToken cancellationToken)
    {
        List<LocalReplica> replicas = [];
        foreach (ReplicaHost host in target.Hosts)
        {
            replicas.Add(await DescribeAsync(host, cancellationToken));
        }

        return new LocalState(
            identity.Membership.Host, identity.Membership.Name, identity.Membership.Site, AgentVersion.Text, link.State,
            [.. replicas.OrderBy(replica => replica.VmName, StringComparer.Ordinal)], source.Locals(),
            settings.ProxyState, await visibility.DescribeAsync(cancellationToken), target.Unavailable);
    }

    private async Task<LocalReplica> DescribeAsync(ReplicaHost host, CancellationToken cancellationToken)
    {
        TargetOrder? order = await target.TryReadOrderAsync(host, cancellationToken);
        ReplicaHostStatus status = host.Status;
        return new LocalReplica(
            host.Spec.VmName,
            order?.Name ?? host.Spec.TargetName,
            new HostId(host.Spec.Source),
            receiver.IsReceiving(host.Spec.Replica),
            receiver.IsReceiving(host.Spec.Replica) || target.HasCalled(host.Spec.Replica),
            order?.Settings ?? new RecoverySettings([], null, null, BranchRules.DefaultDays),
            [.. status.Tests.Where(test => test.Step != TestStep.Promoting).Select(test => new LocalTest(new TestId(test.Id), test.VmName, test.Point))],
            target.ReportOf(host));
    }
}
