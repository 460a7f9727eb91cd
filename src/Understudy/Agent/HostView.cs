using Understudy.Agent.Guard;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Protection.Ports;
using HostFacts = Understudy.Model.HostFacts;

namespace Understudy.Agent;

/// <summary>The whole of what this host is and does, read when asked: nothing here is remembered.</summary>
internal sealed class HostView(AgentConfig config, IHypervisor hypervisor, SourceSide source, TargetSide target, GuardWatch guard, HostBoot boot, ILogger logger)
{
    public async Task<HostFacts> FactsAsync(CancellationToken cancellationToken)
    {
        StorageSpace replicas = Facts.Space(config.ImagesFolder);
        StorageSpace spool = Facts.Space(config.SpoolFolder);
        try
        {
            return Facts.Of(await hypervisor.GetHostAsync(cancellationToken), replicas, spool) with { GuardProblem = guard.State().Problem, Boot = boot.Id };
        }
        catch (UnderstudyException e)
        {
            AgentLog.HypervisorUnreachable(logger, e.Message);
            return Facts.Unreachable(e.Message, replicas, spool) with { Boot = boot.Id };
        }
    }

    /// <summary>Null when the hypervisor does not answer: the vault keeps what it saw last.</summary>
    public async Task<Inventory?> InventoryAsync(CancellationToken cancellationToken)
    {
        try
        {
            IReadOnlyList<VmFacts> vms = await hypervisor.ListVmsAsync(cancellationToken);
            source.NotePower(vms);
            target.NotePower(vms);
            return new Inventory([.. vms.Select(Facts.Of).OrderBy(vm => vm.Id.Value)]);
        }
        catch (UnderstudyException e)
        {
            AgentLog.HypervisorUnreachable(logger, e.Message);
            return null;
        }
    }

    public IReadOnlyList<SourceReport> Sources() => source.Reports();

    public IReadOnlyList<TargetReport> Targets() => target.Reports();

    public async ValueTask<AgentHello> HelloAsync(CancellationToken cancellationToken) => new(
        AgentVersion.Text,
        config.Advertise,
        await FactsAsync(cancellationToken),
        (await InventoryAsync(cancellationToken))?.Vms ?? [],
        Sources(),
        Targets());
}
