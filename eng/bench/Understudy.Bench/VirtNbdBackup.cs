using System.Diagnostics;

namespace Understudy.Bench;

/// <summary>The peer: Debian's virtnbdbackup and virtnbdrestore on a VM of its own, the same host, the same bytes.</summary>
internal sealed class VirtNbdBackup(BenchHost host, string vmName)
{
    private const string RestoredName = "peer-restored";
    private const int RestoreAttempts = 3;

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
        long began = await RestoreAsync(output, cancellationToken);
        await VirshAsync(cancellationToken, "define", definition);
        await VirshAsync(cancellationToken, "start", RestoredName);
        TimeSpan taken = Stopwatch.GetElapsedTime(began);
        await VirshAsync(cancellationToken, "destroy", RestoredName);
        await VirshAsync(cancellationToken, "undefine", RestoredName);
        Directory.Delete(output, recursive: true);
        return taken;
    }

    /// <summary>
    /// When the try that succeeded began. The peer serves its disks one after the other on one socket path, and now and then
    /// the server that ends removes the socket of the one that begins: that is tried again and not held against its time.
    /// </summary>
    private async Task<long> RestoreAsync(string output, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            string socket = Path.Combine(_scratch, $"restore-{attempt}.sock");
            long began = Stopwatch.GetTimestamp();
            try
            {
                await Command.RunAsync(
                    "virtnbdrestore", cancellationToken,
                    "-U", _uri, "-n", "-i", _backups, "-o", output, "-f", socket, "-L", host.At("peer-restore.log"));
                return began;
            }
            catch (InvalidOperationException) when (attempt < RestoreAttempts)
            {
                EndServersOf(socket);
                Directory.Delete(output, recursive: true);
                host.OpenFolder("vm/peer-restore");
            }
            catch
            {
                EndServersOf(socket);
                throw;
            }
        }
    }

    /// <summary>The servers a failed restore leaves behind; the socket's path is of this run alone.</summary>
    private static void EndServersOf(string socket)
    {
        foreach (Process process in Process.GetProcessesByName("qemu-nbd"))
        {
            using (process)
            {
                string commandLine = $"/proc/{process.Id}/cmdline";
                if (File.Exists(commandLine) && File.ReadAllText(commandLine).Split('\0').Contains(socket))
                {
                    process.Kill();
                }
            }
        }
    }

    private Task<string> BackupAsync(string level, CancellationToken cancellationToken) => Command.RunAsync(
        "virtnbdbackup", cancellationToken,
        "-U", _uri, "-n", "-d", vmName, "-l", level, "-o", _backups, "-S", _scratch, "-f", Path.Combine(_scratch, "backup.sock"));

    private Task<string> VirshAsync(CancellationToken cancellationToken, params string[] words) =>
        Command.RunAsync("virsh", cancellationToken, ["-c", host.Uri, .. words]);
}
