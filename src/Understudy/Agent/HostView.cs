using Understudy.Agent.Guard;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Protection.Ports;
using HostFacts = Understudy.Model.HostFacts;

namespace Understudy.Agent;

/// <summary>The whole of what this host is and does, read when asked: nothing here is remembered.</summary>
/// <param name="name">What the vault calls this host.</param>
internal sealed class HostView(
    AgentSettings settings,
    Func<string> name,
    IHypervisor hypervisor,
    SourceSide source,
    TargetSide target,
    Visibility visibility,
    GuardWatch guard,
    HostBoot boot,
    ReplicationListener listener,
    Spaces spaces,
    ILogger logger)
{
    public async Task<HostFacts> FactsAsync(CancellationToken cancellationToken)
    {
        StorageSpace[] own = await Task.WhenAll(
            spaces.OfAsync(settings.Config.ImagesFolder, cancellationToken), spaces.OfAsync(settings.Config.SpoolFolder, cancellationToken));
        (StorageSpace replicas, StorageSpace spool) = (own[0], own[1]);
        try
        {
            Protection.Ports.HostFacts host = await hypervisor.GetHostAsync(cancellationToken);
            HostPool[] pools = await Task.WhenAll((host.Pools ?? []).Select(pool => PoolAsync(pool, cancellationToken)));
            return Own(Facts.Of(host, pools, replicas, spool)) with { GuardProblem = guard.State().Problem };
        }
        catch (UnderstudyException e)
        {
            AgentLog.HypervisorUnreachable(logger, e.Message);
            return Own(Facts.Unreachable(e.Message, replicas, spool));
        }
    }

    /// <summary>Of what is not hidden. Null when the hypervisor does not answer: the vault keeps what it saw last.</summary>
    public async Task<Inventory?> InventoryAsync(CancellationToken cancellationToken)
    {
        try
        {
            long began = target.Power.BeginLook();
            IReadOnlyList<VmFacts> vms = await hypervisor.ListVmsAsync(cancellationToken);
            source.NotePower(vms);
            foreach (VmFacts vm in vms)
            {
                target.Power.Note(vm.Id, Facts.Of(vm.State), began);
            }

            return new Inventory([.. vms.Select(visibility.Show).OfType<DiscoveredVm>().OrderBy(vm => vm.Id.Value)]);
        }
        catch (UnderstudyException e)
        {
            AgentLog.HypervisorUnreachable(logger, e.Message);
            return null;
        }
    }

    public IReadOnlyList<SourceReport> Sources() => source.Reports();

    public IReadOnlyList<TargetReport> Targets() => target.Reports();

    public IReadOnlyList<ReplicaUnavailable> Unavailable() => target.Unavailable;

    public async ValueTask<AgentHello> HelloAsync(CancellationToken cancellationToken) => new(
        AgentVersion.Text,
        settings.Config.Advertise,
        await FactsAsync(cancellationToken),
        (await InventoryAsync(cancellationToken))?.Vms,
        Sources(),
        Targets(),
        Unavailable());

    /// <summary>Space is asked of the file system: libvirt says what it was when the pool was refreshed last.</summary>
    private async Task<HostPool> PoolAsync(PoolFacts pool, CancellationToken cancellationToken) =>
        Facts.Of(pool, pool is { Active: true, Path: { } path } ? await spaces.OfAsync(path, cancellationToken) : null);

    /// <summary>With what the hypervisor does not know.</summary>
    private HostFacts Own(HostFacts facts) => facts with
    {
        Listens = listener.IsOpen,
        Boot = boot.Id,
        DisplayName = name(),
        Visible = visibility.Rule.Text,
        Proxy = settings.ProxyState,
    };
}
