namespace Understudy.Libvirt;

/// <summary>What an administrator may set about the connection to libvirt.</summary>
public sealed record LibvirtSettings
{
    /// <summary>Room for a NUL and the file name of a capture's socket: a UNIX socket path holds 108 bytes.</summary>
    private const int LongestFolder = 107 - Capture.ScratchNames.LongestFileName - 1;

    /// <summary>For example <c>qemu:///system</c>, or <c>qemu+unix:///system?socket=DIR/run/libvirt-sock</c>.</summary>
    public required string Uri { get; init; }

    /// <summary>
    /// Where captures keep scratch images and sockets. It must be on a file system that was mounted before the VMs
    /// started (each QEMU has a mount namespace of its own), and its parents must be traversable by QEMU's user.
    /// </summary>
    public required string ScratchFolder
    {
        get;
        init
        {
            ArgumentException.ThrowIfNullOrEmpty(value);
            string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(value));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(System.Text.Encoding.UTF8.GetByteCount(full), LongestFolder, nameof(ScratchFolder));
            field = full;
        }
    }

    /// <summary>Reading facts and states.</summary>
    public TimeSpan QueryLimit { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Asking about storage pools. Short: whoever asks has more to do than that, and goes on with what was known.</summary>
    public TimeSpan StorageLimit { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Changing something. Longer than the 30 s after which libvirt itself gives up on its lock, so that its words arrive.</summary>
    public TimeSpan JobLimit { get; init; } = TimeSpan.FromSeconds(45);

    /// <summary>Starting a VM or pivoting a disk.</summary>
    public TimeSpan StartLimit { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>How long a capture that is read may stand still: it holds one of the host's few places for captures, and the disk
    /// below a guest may hang for good.</summary>
    public TimeSpan CaptureSilence { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How often a running capture looks at its scratch and at the VM.</summary>
    public TimeSpan ScratchWatchInterval { get; init; } = TimeSpan.FromMilliseconds(200);
}
