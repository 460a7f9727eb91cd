using Understudy.Agent;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Model;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Simulation.Machines;
using Understudy.Simulation.Models;
using Understudy.Simulation.Running;
using Understudy.Simulation.Sites.Checkers;
using Understudy.Simulation.Sites.Vault;
using Understudy.Simulation.World;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;
using OwnershipState = Understudy.Protection.Ownership.OwnershipState;

namespace Understudy.Simulation.Sites;

/// <summary>Everything of a run with two whole sides and a vault at a third place, as its parts share it.</summary>
internal sealed class SitesWorld
{
    public SitesWorld(RunContext context)
    {
        Context = context;
        Random = context.Random.Fork(60);
        Ids = new SeededIds(context.Random.Fork(61));
        Network = new SimNetwork(context.Simulator);
        Source = new Site(context, context.AddHost("source"), new HostId(Ids.NewGuid()), SourceSide.FolderOf);
        Target = new Site(context, context.AddHost("target"), new HostId(Ids.NewGuid()), vm => $"{TargetSide.FolderOf(vm)}/host");
        VaultHost = context.AddHost("vault");
        Database = new VaultDatabase();
        Policy = RandomShapes.Policy(Random);
        Journal = RandomShapes.Settings(Random, context.Plant);
        Retention = Random.Between(TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(20));
        StartsAfter = Random.Chance(0.6) ? null : Random.Between(TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(10));
        Isolated = Random.Chance(0.5) ? IsolatedSourceAction.Pause : Random.Pick(Enum.GetValues<IsolatedSourceAction>());
        Owners = new OwnershipChecker(this);
        TargetDials = context.Random.Fork(62).Chance(0.5);
        CutsHandOvers = context.Random.Fork(63).Chance(0.08);
        int vms = Random.Chance(0.85) ? 1 : 2;
        for (int i = 0; i < vms; i++)
        {
            AddVm($"vm{i}");
        }

        var bystander = new ModelDomain(Target.Machine, Bystander, "office", DomainXml.Bystander(Bystander, "office"), null, Random.Fork(6));
        bystander.Guest.IsQuiet = true;
        Target.Machine.Domains.Add(bystander);
        Target.Machine.ExpectedOf = ExpectedOf;
        foreach (Site site in Sites)
        {
            site.Machine.StartHook.OnAllowed = domain => Owners.LookAtStart(site, domain);
            site.Machine.OnRunStateChanged = domain => Owners.LookAtCopies(domain.Id);
        }
    }

    public RunContext Context { get; }

    public Simulator Simulator => Context.Simulator;

    public SimRandom Random { get; }

    public SeededIds Ids { get; }

    public SimNetwork Network { get; }

    public Site Source { get; }

    public Site Target { get; }

    public SimHost VaultHost { get; }

    /// <summary>What the vault has written; it outlives every vault.</summary>
    public VaultDatabase Database { get; }

    /// <summary>The vault that runs now; null while none does.</summary>
    public ModelVault? Vault { get; set; }

    public List<VmWatch> Vms { get; } = [];

    public SourcePolicy Policy { get; }

    public ReplicaSettings Journal { get; }

    public TimeSpan Retention { get; }

    /// <summary>Policy: when a VM may be started after a boot in which nobody says whose it is.</summary>
    public TimeSpan? StartsAfter { get; }

    /// <summary>Policy: what is done to a copy whose VM runs elsewhere.</summary>
    public IsolatedSourceAction Isolated { get; }

    /// <summary>Which of the two sites listens: nothing else depends on it.</summary>
    public bool TargetDials { get; }

    /// <summary>A source that hands its VM over is cut off before it is told, and nobody waits for it.</summary>
    public bool CutsHandOvers { get; }

    public OwnershipChecker Owners { get; }

    /// <summary>A VM of the target host that nobody protects: points are given to it.</summary>
    public VmId Bystander { get; } = new(new Guid(0xb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));

    /// <summary>From now on nothing goes wrong any more.</summary>
    public bool IsCalm { get; set; }

    /// <summary>The target has the VM, and its source, which has offered it, does not know.</summary>
    public bool IsUntold(VmWatch vm) => Source.TokenOf(vm.Id).Now is { State: OwnershipState.Offered } && Target.TokenOf(vm.Id).Now is { State: OwnershipState.Here };

    public IReadOnlyList<Site> Sites => [Source, Target];

    public Site SiteOf(HostId host) => host == Source.Id ? Source : Target;

    public Site PeerOf(Site site) => site == Source ? Target : Source;

    public VmWatch Watch(VmId vm) => Vms.Find(w => w.Id == vm) ?? throw new InvalidOperationException($"no VM {vm}");

    /// <summary>Bytes get from one host to the other now.</summary>
    public bool IsOpen(SimHost from, SimHost to) => from.IsUp && to.IsUp && !Network.IsStalled(from, to) && !Network.IsStalled(to, from);

    private void AddVm(string name)
    {
        long[] sizes = [.. Enumerable.Range(0, Random.Chance(0.7) ? 1 : 2).Select(_ => (long)Random.Between(2, 6) * Blocks.BlockSize.Bytes)];
        var vm = new ModelVm(new VmId(Ids.NewGuid()), name, sizes, Source.Host) { DevicesXml = DomainXml.Devices };
        Vms.Add(new VmWatch(vm, Context.Violations));
        Source.Machine.Domains.Add(new ModelDomain(Source.Machine, vm.Id, name, vm.DefinitionXml, vm, Random.Fork(5)));
        for (int i = 0; i < sizes.Length; i++)
        {
            Source.Machine.Images[DomainXml.SourceImage(name, i)] = new ModelImage(DomainXml.SourceImage(name, i), "qcow2", sizes[i], null);
        }
    }

    /// <summary>What an export on the target shows: a disk of a point, by itself or through a run's daemon, or an image.</summary>
    private DiskImage? ExpectedOf(ImageBacking.Nbd server)
    {
        StorageBacking? backing = Target.Machine.Daemons.Values.FirstOrDefault(d => d.Spec.SocketPath == server.SocketPath)?
            .Spec.Exports.FirstOrDefault(e => e.Name == server.ExportName)?.Backing;
        return backing switch
        {
            StorageBacking.Nbd view => ExpectedOfView(view.ExportName),
            StorageBacking.Image image => Target.Machine.Image(image.Path).Expected,
            _ => ExpectedOfView(server.ExportName),
        };
    }

    /// <param name="export">line.sequence.disk</param>
    private DiskImage? ExpectedOfView(string export)
    {
        int last = export.LastIndexOf('.');
        if (last < 0 || !RecoveryPointId.TryParse(export[..last].Replace('.', ':'), out RecoveryPointId point))
        {
            return null;
        }

        var disk = new DiskId(ushort.Parse(export[(last + 1)..], System.Globalization.CultureInfo.InvariantCulture));
        return Vms.SelectMany(vm => vm.Ledgers.Values).Select(ledger => ledger.ContentOf(point, disk)).FirstOrDefault(content => content is not null);
    }
}
