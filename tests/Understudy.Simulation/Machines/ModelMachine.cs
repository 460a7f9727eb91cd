using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Simulation.Models;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;

namespace Understudy.Simulation.Machines;

/// <summary>
/// What outlives an agent on a host: images, storage daemons, VMs, networks, sockets; with QEMU's own rules of who may
/// open an image beside whom. Definitions and images survive a power loss, everything that runs does not.
/// </summary>
internal sealed class ModelMachine
{
    private readonly SimRandom _random;
    private readonly TimeSpan _callTime;

    public ModelMachine(RunContext context, SimHost host)
    {
        Context = context;
        Host = host;
        _random = context.Random.Fork(40);
        Sockets = new SimLocalSockets();
        StartHook = new GuardHook(this);
        Calls = new CallBehaviour(_random.Fork(1));
        _callTime = _random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(60));
    }

    public RunContext Context { get; }

    public SimHost Host { get; }

    public Simulator Simulator => Host.Simulator;

    public SimLocalSockets Sockets { get; }

    /// <summary>How calls of the hypervisor behave.</summary>
    public CallBehaviour Calls { get; }

    public SortedDictionary<string, ModelImage> Images { get; } = new(StringComparer.Ordinal);

    public SortedDictionary<string, ModelDaemon> Daemons { get; } = new(StringComparer.Ordinal);

    public List<ModelDomain> Domains { get; } = [];

    /// <summary>Bridges by network.</summary>
    public SortedDictionary<string, string> Networks { get; } = new(StringComparer.Ordinal);

    /// <summary>What a new image over this NBD export must show; set by the world.</summary>
    public Func<ImageBacking.Nbd, DiskImage?> ExpectedOf { get; set; } = _ => null;

    /// <summary>Asked before every start, whoever starts.</summary>
    public GuardHook StartHook { get; }

    /// <summary>Told whenever a VM of the host has begun or ceased to run.</summary>
    public Action<ModelDomain> OnRunStateChanged { get; set; } = _ => { };

    /// <summary>Whether a guest that starts now looks at all its disks first.</summary>
    public bool ReadsAllAtBoot() => _random.Chance(0.3);

    /// <summary>Whether somebody has a device open that is to go.</summary>
    public bool IsDeviceOpen() => _random.Chance(0.2);

    /// <summary>Whether a guest lets go of a disk when it is asked to.</summary>
    public bool LetsGo() => _random.Chance(0.7);

    /// <summary>What the host calls its present boot.</summary>
    public string Boot => $"{Host.Name}-{Host.BootNumber}";

    public long UpSeconds => (Simulator.NowTicks - Host.BootedAtTicks) / TimeSpan.TicksPerSecond;

    public ModelDomain? Find(VmId vm) => Domains.Find(d => d.Id == vm);

    public ModelImage Image(string path) =>
        Images.GetValueOrDefault(path) ?? throw new StorageException(FaultKind.Missing, path, "no such image (simulated)");

    public async ValueTask TakeTimeAsync(SimProcess caller, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await caller.TakeTimeAsync(_callTime * (0.2 + _random.NextFraction()));
    }

    public void Forget(ModelDaemon daemon)
    {
        if (Daemons.GetValueOrDefault(daemon.Spec.Name) == daemon)
        {
            Daemons.Remove(daemon.Spec.Name);
        }
    }

    /// <summary>The power is gone: what was not durable is gone with it. Processes have ended by themselves.</summary>
    public void LosePower()
    {
        Networks.Clear();
        Daemons.Clear();
        Domains.ForEach(d => d.IsHeld = false);
    }

    /// <summary>QEMU's image lock: one writer and nobody beside it, or readers.</summary>
    /// <exception cref="StorageException">Somebody holds it in a way that does not go with this.</exception>
    public void RequireLock(string path, bool forWriting, object asker)
    {
        bool held = Daemons.Values.Any(d => d != asker && d.Process.IsAlive && d.Exports(path, forWriting: !forWriting))
            || Domains.Any(d => d.Qemu is { } qemu && qemu != asker && qemu.Holds(path, forWriting: !forWriting));
        if (held)
        {
            throw new StorageException(FaultKind.Denied, path, $"Failed to get {(forWriting ? "\"write\"" : "shared \"write\"")} lock (simulated)");
        }
    }

    /// <summary>An image's content for a process that opens it by itself.</summary>
    public IBlockDevice OpenImage(string path, SimProcess process, bool readOnly)
    {
        ModelImage image = Image(path);
        return image.IsOnDisk && !image.IsAdopted
            ? Host.Disk.OpenDevice(process, image.DiskFile, image.SizeBytes, readOnly)
            : new LayerDevice(image, process);
    }

    public void Trace(string what, string subject) => Simulator.Trace.Event(Simulator.NowTicks, Host.Name, what, subject);
}
