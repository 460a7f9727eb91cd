using Understudy.Agent.Guard;
using Understudy.Agent.Seeds;
using Understudy.Blocks.Storage;
using Understudy.Libvirt;
using Understudy.Protection.Guard;
using Understudy.Protection.Ownership;
using Understudy.Protection.Source;
using Understudy.Protection.Target;
using Understudy.Qemu;
using Understudy.Qemu.Stopped;

namespace Understudy.Agent;

/// <summary>What this host gives to the engines of both sides: its hypervisor, disks, storage daemons, start guard and clock.</summary>
internal sealed class HostServices : IAsyncDisposable
{
    private readonly AgentConfig _config;
    private readonly ILoggerFactory _loggers;
    private readonly QemuSettings _qemu;
    private readonly StorageDaemons _daemons;

    public HostServices(AgentConfig config, string dataFolder, ILoggerFactory loggers)
    {
        _config = config;
        _loggers = loggers;
        _qemu = new QemuSettings { DaemonFolder = Path.Combine(config.RunFolder, "daemons") };
        _daemons = new StorageDaemons(_qemu, loggers.CreateLogger<StorageDaemons>());
        Images = new ImageTool(_qemu);
        Hypervisor = new LibvirtHypervisor(
            new LibvirtSettings { Uri = config.LibvirtUri, ScratchFolder = config.ScratchFolder }, Time, Ids, Images, loggers.CreateLogger("libvirt"));
        Seeds = new HostSeeds(config.RunFolder, _qemu, Sockets, loggers.CreateLogger("seeds"));
        Boot = HostBoot.Read();
        string guardFolder = Directory.CreateDirectory(GuardFolderOf(dataFolder)).FullName;
        Guard = new GuardFolder(new FolderStore(guardFolder), Boot.Id, Boot.UpSeconds);
        GuardWatch = new GuardWatch(
            new GuardInstaller(guardFolder, config.HooksFolder, Boot), new GuardTrial(Guard, Hypervisor, Time), Time, loggers.CreateLogger("agent"));
        Ownership = new OwnershipServices(Guard, Boot.Id, Time, loggers.CreateLogger("ownership"));
    }

    public TimeProvider Time { get; } = TimeProvider.System;

    public SystemIds Ids { get; } = new();

    public LocalSockets Sockets { get; } = new();

    public ImageTool Images { get; }

    public LibvirtHypervisor Hypervisor { get; }

    public HostSeeds Seeds { get; }

    public HostBoot Boot { get; }

    public GuardFolder Guard { get; }

    public GuardWatch GuardWatch { get; }

    public OwnershipServices Ownership { get; }

    /// <summary>Of the files that libvirt's hook reads.</summary>
    public static string GuardFolderOf(string dataFolder) => Path.Combine(dataFolder, "guard");

    public SourceMachine ForSource() =>
        new(Hypervisor, Hypervisor, Hypervisor, new StoppedDisks(_daemons, Images, _config.RunFolder, Time), Images);

    /// <param name="news">Where it says what a person should know.</param>
    public TargetServices ForTarget(SourceNews news) => new(
        Hypervisor,
        _daemons,
        Images,
        new HostDevices(_qemu, _daemons),
        Sockets,
        Time,
        Ids,
        Ownership,
        new TargetSettings { RuntimeFolder = _config.RunFolder, LogFolder = _config.GuestLogFolder },
        _loggers.CreateLogger("target"))
    {
        Seeds = Seeds,
        News = news,
    };

    public ValueTask DisposeAsync() => Hypervisor.DisposeAsync();
}
