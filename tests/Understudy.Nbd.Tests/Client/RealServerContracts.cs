using System.Globalization;
using Understudy.Blocks;
using Understudy.Nbd.Tests.Peers;
using Understudy.Testing.Contracts;

namespace Understudy.Nbd.Tests.Client;

/// <summary>The contract of a disk, with the client in front of somebody else's server.</summary>
public abstract class RealServerContract : BlockDeviceContract, IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();
    private PeerProcess? _server;

    private protected TemporaryFolder Folder => _folder;

    protected string Socket => _folder.File("s");

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    protected override async ValueTask<IBlockDevice> OpenEmptyAsync(long sizeBytes)
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        _server = await StartAsync(sizeBytes);
        return await NbdClient.ConnectAsync(await NbdSocket.ConnectUnixAsync(Socket, token), new NbdClientOptions(), token);
    }

    private protected abstract Task<PeerProcess> StartAsync(long sizeBytes);
}

public sealed class QemuNbdRawContract : RealServerContract
{
    private protected override async Task<PeerProcess> StartAsync(long sizeBytes)
    {
        Assert.SkipUnless(PeerProcess.Exists("qemu-nbd"), "needs qemu-nbd");
        await PeerProcess.RunAsync("truncate", "-s", sizeBytes.ToString(CultureInfo.InvariantCulture), Folder.File("d"));
        return await PeerProcess.ServeAsync(Socket, "qemu-nbd", "-t", "-e", "8", "-f", "raw", "--discard=unmap", "-k", Socket, Folder.File("d"));
    }
}

public sealed class QemuNbdQcow2Contract : RealServerContract
{
    private protected override async Task<PeerProcess> StartAsync(long sizeBytes)
    {
        Assert.SkipUnless(PeerProcess.Exists("qemu-nbd"), "needs qemu-nbd");
        await PeerProcess.RunAsync(
            "qemu-img", "create", "-q", "-f", "qcow2", Folder.File("d"), sizeBytes.ToString(CultureInfo.InvariantCulture));
        return await PeerProcess.ServeAsync(Socket, "qemu-nbd", "-t", "-e", "8", "-f", "qcow2", "-k", Socket, Folder.File("d"));
    }
}

public sealed class NbdkitMemoryContract : RealServerContract
{
    private protected override Task<PeerProcess> StartAsync(long sizeBytes)
    {
        Assert.SkipUnless(PeerProcess.Exists("nbdkit"), "needs nbdkit");
        return PeerProcess.ServeAsync(Socket, "nbdkit", "-f", "-U", Socket, "memory", $"size={sizeBytes}");
    }
}

/// <summary>A server without write-zeroes, trim and FUA, and without structured replies.</summary>
public sealed class NbdkitPlainContract : RealServerContract
{
    private protected override Task<PeerProcess> StartAsync(long sizeBytes)
    {
        Assert.SkipUnless(PeerProcess.Exists("nbdkit"), "needs nbdkit");
        return PeerProcess.ServeAsync(
            Socket, "nbdkit", "-f", "-U", Socket, "--no-sr", "--filter=nozero", "memory", $"size={sizeBytes}", "zeromode=none");
    }
}

/// <summary>A server that takes whole sectors only: reads of any range still work, writes must be whole.</summary>
public sealed class NbdkitSectorContract : RealServerContract
{
    protected override int Unit => 4096;

    private protected override Task<PeerProcess> StartAsync(long sizeBytes)
    {
        Assert.SkipUnless(PeerProcess.Exists("nbdkit"), "needs nbdkit");
        return PeerProcess.ServeAsync(
            Socket, "nbdkit", "-f", "-U", Socket, "--filter=blocksize-policy", "memory", $"size={sizeBytes}",
            "blocksize-minimum=4096", "blocksize-preferred=64K", "blocksize-maximum=256K", "blocksize-error-policy=error");
    }
}
