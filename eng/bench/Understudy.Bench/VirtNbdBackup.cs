using System.Diagnostics;

namespace Understudy.Bench;

/// <summary>The peer: Debian's virtnbdbackup and virtnbdrestore on a VM of its own, the same host, the same bytes.</summary>
internal sealed class VirtNbdBackup(BenchHost host, string vmName)
{
    private const string RestoredName = "peer-restored";

    // Without "+unix": the peer takes every other transport for a remote host and asks for a password.
    private readonly string _uri = $"qemu:///system?socket={host.At("run/libvirt-sock")}";
    private readonly string _backups = host.At("peer-backup");
    private readonly string _scratch = host.OpenFolder("vm/peer-scratch");

    public Task FullAsync(CancellationToken cancellationToken) => BackupAsync("full", cancellationToken);

    public async Task<TimeSpan> IncrementAsync(CancellationToken cancellationToken)
    {
        long began = Stopwatch.GetTimestamp();
        await BackupAsync("inc", cancellationToken);
        return Stopwatch.GetElapsedTime(began);
    }

    /// <summary>From the command to QEMU running on the restored disks.</summary>
    public async Task<TimeSpan> RestoreAndStartAsync(CancellationToken cancellationToken)
    {
        string output = host.OpenFolder("vm/peer-restore");
        string definition = host.At("peer-restored.xml");
        await File.WriteAllTextAsync(definition, BenchVm.Definition(RestoredName, output), cancellationToken);
        long began = Stopwatch.GetTimestamp();
        await Command.RunAsync(
            "virtnbdrestore", cancellationToken,
            "-U", _uri, "-n", "-i", _backups, "-o", output,
            "-f", host.At("vm/peer-scratch/restore.sock"), "-L", host.At("peer-restore.log"));
        await VirshAsync(cancellationToken, "define", definition);
        await VirshAsync(cancellationToken, "start", RestoredName);
        TimeSpan taken = Stopwatch.GetElapsedTime(began);
        await VirshAsync(cancellationToken, "destroy", RestoredName);
        await VirshAsync(cancellationToken, "undefine", RestoredName);
        Directory.Delete(output, recursive: true);
        return taken;
    }

    private Task<string> BackupAsync(string level, CancellationToken cancellationToken) => Command.RunAsync(
        "virtnbdbackup", cancellationToken,
        "-U", _uri, "-n", "-d", vmName, "-l", level, "-o", _backups, "-S", _scratch, "-f", Path.Combine(_scratch, "backup.sock"));

    private Task<string> VirshAsync(CancellationToken cancellationToken, params string[] words) =>
        Command.RunAsync("virsh", cancellationToken, ["-c", host.Uri, .. words]);
}
