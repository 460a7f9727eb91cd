using Understudy.Nbd.Tests.Peers;
using Understudy.Testing.Devices;

namespace Understudy.Nbd.Tests.Server;

/// <summary>The chain under a recovered VM: QEMU, qemu-storage-daemon, our view server. The last one may die.</summary>
public sealed class StorageDaemonTests : IDisposable
{
    private const int Size = 1024 * 1024;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Server_that_comes_back_costs_a_read_through_the_daemon_a_wait_and_no_error()
    {
        Assert.SkipUnless(PeerProcess.Exists("qemu-storage-daemon"), "needs qemu-storage-daemon");
        CancellationToken token = TestContext.Current.CancellationToken;
        string view = _folder.File("view");
        MemoryBlockDevice disk = ServedDisks.Noise(Size, isReadOnly: true);
        ServedDisks first = await ServedDisks.OnAsync(view, ("p1", disk));
        await using PeerProcess daemon = await StorageDaemon.ExportViewAsync(_folder.File("qsd"), view, "p1", reconnectSeconds: 20);
        await using NbdClient guest = await NbdClient.ConnectAsync(
            await NbdSocket.ConnectUnixAsync(_folder.File("qsd"), token), new NbdClientOptions { Export = "vda" }, token);
        byte[] before = new byte[Size];
        await guest.ReadAsync(0, before, token);
        await first.DisposeAsync();

        byte[] after = new byte[Size];
        Task reading = guest.ReadAsync(0, after, token).AsTask();
        await using ServedDisks second = await ServedDisks.OnAsync(view, ("p1", disk));
        await reading;

        Assert.True(disk.Content.Span.SequenceEqual(before) && disk.Content.Span.SequenceEqual(after));
    }
}
