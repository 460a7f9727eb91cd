namespace Understudy.Qemu;

/// <summary>What an administrator may set about QEMU's own programs.</summary>
public sealed record QemuSettings
{
    /// <summary>Pid files of the storage daemons. Must outlive the agent and be empty after a reboot: /run/understudy/daemons.</summary>
    public required string DaemonFolder { get; init; }

    /// <summary>The user that libvirt runs guests as (user= in qemu.conf); null when guests run as the agent's own user.</summary>
    public string? GuestUser { get; init; } = "libvirt-qemu";

    public string StorageDaemonProgram { get; init; } = "qemu-storage-daemon";

    public string ImageProgram { get; init; } = "qemu-img";

    /// <summary>Makes and ends loop devices (util-linux).</summary>
    public string LoopProgram { get; init; } = "losetup";

    public string ImageServerProgram { get; init; } = "qemu-nbd";

    /// <summary>Put before a storage daemon's command, so that it does not live in the agent's own control group, where
    /// stopping the service would end it under a running guest.</summary>
    public IReadOnlyList<string> LaunchPrefix { get; init; } = Directory.Exists("/run/systemd/system")
        ? ["systemd-run", "--scope", "--quiet", "--collect", "--slice=understudy-storage.slice"]
        : [];

    /// <summary>Starting or ending a daemon, making or changing an image: milliseconds when all is well.</summary>
    public TimeSpan CommandLimit { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a daemon may take to end when asked before it is killed.</summary>
    public TimeSpan StopLimit { get; init; } = TimeSpan.FromSeconds(5);
}
