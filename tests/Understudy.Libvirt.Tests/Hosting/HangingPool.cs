namespace Understudy.Libvirt.Tests.Hosting;

/// <summary>A storage pool with one volume, which FUSE servers of the test's own show, one in the private host and one to the agent
/// beside it: when they are stopped, whoever looks at the volume waits until they go on.</summary>
internal sealed class HangingPool : IDisposable
{
    public const string Name = "us-hanging";
    public const string Volume = "volume.raw";
    public const long Bytes = 1024 * 1024;

    private static readonly TimeSpan EndsWithin = TimeSpan.FromSeconds(30);

    private readonly PrivateHost _host;
    private readonly string _folder;
    private readonly string[] _pidFiles;

    public HangingPool(PrivateHost host, string folder)
    {
        Assert.SkipUnless(File.Exists("/dev/fuse"), "needs FUSE (modprobe fuse)");
        (_host, _folder, _pidFiles) = (host, folder, [folder + ".pid0", folder + ".pid1"]);
        string below = folder + ".raw";
        Directory.CreateDirectory(folder);
        File.WriteAllBytes(Path.Combine(folder, Volume), []);
        using (FileStream content = File.Create(below))
        {
            content.SetLength(Bytes);
        }

        string[] server = [
            "qemu-storage-daemon", "--daemonize",
            "--blockdev", $"driver=file,node-name=content,filename={below}",
            "--export", $"type=fuse,id=shown,node-name=content,writable=off,mountpoint={Path.Combine(folder, Volume)}"];
        Tool.Run("nsenter", ["-t", host.DaemonPid, "--mount", .. server, "--pidfile", _pidFiles[0]]);
        Tool.Run(server[0], [.. server[1..], "--pidfile", _pidFiles[1]]);
        string definition = folder + ".xml";
        File.WriteAllText(definition, $"<pool type='dir'><name>{Name}</name><target><path>{folder}</path></target></pool>");
        Tool.Run("virsh", "-c", host.Uri, "pool-define", definition);
        Tool.Run("virsh", "-c", host.Uri, "pool-start", Name);
    }

    public void Hang() => Tool.Run("kill", ["-STOP", .. Pids]);

    public void GoOn() => Tool.Run("kill", ["-CONT", .. Pids]);

    private string[] Pids => [.. _pidFiles.Select(file => File.ReadAllText(file).Trim())];

    public void Dispose()
    {
        GoOn();
        Tool.Run("virsh", "-c", _host.Uri, "pool-destroy", Name);
        Tool.Run("virsh", "-c", _host.Uri, "pool-undefine", Name);
        string[] servers = Pids;
        Tool.Run("kill", ["-TERM", .. servers]);
        if (!SpinWait.SpinUntil(() => !servers.Any(server => Directory.Exists($"/proc/{server}")), EndsWithin)) // It unmounts before it ends.
        {
            throw new TimeoutException($"the FUSE servers {string.Join(" and ", servers)} have not ended within {EndsWithin.TotalSeconds} s");
        }

        Directory.Delete(_folder, recursive: true);
    }
}
