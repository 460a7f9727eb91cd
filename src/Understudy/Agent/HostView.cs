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
    ILogger logger)
{
    public async Task<HostFacts> FactsAsync(CancellationToken cancellationToken)
    {
        StorageSpace replicas = Facts.Space(settings.Config.ImagesFolder);
        StorageSpace spool = Facts.Space(settings.Config.SpoolFolder);
        try
        {
            return Own(Facts.Of(await hypervisor.GetHostAsync(cancellationToken), replicas, spool)) with { GuardProblem = guard.State().Problem };
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
