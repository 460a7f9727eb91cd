using Understudy.Agent;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Simulation.Machines;
using Understudy.Simulation.Running;
using Understudy.Simulation.Sites.Agents;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Sites;

/// <summary>A host with everything on it, and the agent that runs there now.</summary>
internal sealed class Site
{
    private readonly Func<VmId, string> _tokenFolder;
    private readonly Dictionary<VmId, TokenFile> _tokens = [];

    /// <param name="tokenFolder">Where an agent here keeps its record of who owns a VM.</param>
    public Site(RunContext context, SimHost host, HostId id, Func<VmId, string> tokenFolder)
    {
        Host = host;
        Id = id;
        _tokenFolder = tokenFolder;
        Machine = new ModelMachine(context, host);
    }

    public SimHost Host { get; }

    public HostId Id { get; }

    public string Name => Host.Name;

    public ModelMachine Machine { get; }

    public SimProcess? AgentProcess { get; set; }

    /// <summary>Null until the agent of this life is ready, and from its death on.</summary>
    public SiteAgent? Agent { get; set; }

    /// <summary>What the vault ordered for each VM that is protected from here; durable beside the engine's own state.</summary>
    public Dictionary<VmId, SourceOrder> Orders { get; } = [];

    /// <summary>Nothing goes wrong here at the moment that could hold anything up, since then.</summary>
    public long QuietSinceTicks { get; private set; }

    /// <summary>This side's record of who owns a VM, past its agent.</summary>
    public TokenFile TokenOf(VmId vm)
    {
        if (!_tokens.TryGetValue(vm, out TokenFile? token))
        {
            _tokens[vm] = token = new TokenFile(Host.Disk, _tokenFolder(vm));
        }

        return token;
    }

    /// <summary>Something happened here after which everything may take its time again.</summary>
    public void Disturbed() => QuietSinceTicks = Host.Simulator.NowTicks;

    public void KillAgent()
    {
        AgentProcess?.Kill();
        Disturbed();
    }

    public void LosePower()
    {
        Host.PowerLoss();
        Host.Simulator.Interrupt(Machine.LosePower);
        Disturbed();
    }
}
