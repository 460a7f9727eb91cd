using Understudy.Blocks;
using Understudy.Nbd.Tests.Peers;

namespace Understudy.Nbd.Tests.Client;

/// <summary>What capture lives on: the dirty map of a qcow2 bitmap, as QEMU tells it.</summary>
public sealed class DirtyBitmapTests : IAsyncLifetime
{
    private const string Context = "qemu:dirty-bitmap:understudy-1";
    private const int Size = 64 * 1024 * 1024;

    private readonly TemporaryFolder _folder = new();
    private PeerProcess? _server;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(PeerProcess.Exists("qemu-nbd") && PeerProcess.Exists("qemu-io"), "needs qemu-nbd and qemu-io");
        string image = _folder.File("d.qcow2");
        await PeerProcess.RunAsync("qemu-img", "create", "-q", "-f", "qcow2", image, "64M");
        await PeerProcess.RunAsync("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 1M", image);
        await PeerProcess.RunAsync("qemu-img", "bitmap", "--add", "-g", "65536", image, "understudy-1");
        await PeerProcess.RunAsync(
            "qemu-io", "-f", "qcow2", "-c", "write -P 2 64k 4k", "-c", "write -P 3 10M 130k", "-c", "write -z 20M 64k",
            "-c", "write -P 4 67104768 4k", image);
        _server = await PeerProcess.ServeAsync(
            _folder.File("s"), "qemu-nbd", "-t", "-r", "-e", "4", "-f", "qcow2", "-A", "-B", "understudy-1", "-k", _folder.File("s"), image);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        _folder.Dispose();
    }

    [Fact]
    public async Task Exactly_the_blocks_written_since_the_bitmap_are_dirty()
    {
        await using NbdClient client = await ConnectAsync(Context);

        ExtentSet dirty = await client.GetDirtyAsync(Context, new ByteRange(0, client.SizeBytes), Token);

        const int Block = BlockSize.Bytes;
        Assert.Equal(
            [
                new ByteRange(Block, Block),
                new ByteRange(10 * 1024 * 1024, 3 * Block),
                new ByteRange(20 * 1024 * 1024, Block),
                new ByteRange(Size - Block, Block),
            ],
            dirty.Ranges.ToArray());
    }

    [Fact]
    public async Task Part_of_the_disk_is_asked_for_without_what_lies_around_it()
    {
        await using NbdClient client = await ConnectAsync(Context);

        ExtentSet dirty = await client.GetDirtyAsync(Context, ByteRange.FromTo(100_000, 120_000), Token);

        Assert.Equal([ByteRange.FromTo(100_000, 120_000)], dirty.Ranges.ToArray());
        Assert.True((await client.GetDirtyAsync(Context, ByteRange.FromTo(200_000, 300_000), Token)).IsEmpty);
    }

    [Fact]
    public async Task Context_that_is_not_offered_is_missing_and_never_an_empty_map()
    {
        const string Wrong = "qemu:dirty-bitmap:understudy-2";
        await using NbdClient client = await ConnectAsync(Wrong);

        Assert.False(client.HasContext(Wrong));
        StorageException fault = await Assert.ThrowsAsync<StorageException>(
            async () => await client.GetDirtyAsync(Wrong, new ByteRange(0, client.SizeBytes), Token));
        Assert.Equal(FaultKind.Missing, fault.Kind);
    }

    [Fact]
    public async Task Dirty_map_and_allocation_are_read_side_by_side()
    {
        await using NbdClient client = await ConnectAsync(Context);

        IReadOnlyList<BlockExtent> extents = await client.GetExtentsAsync(new ByteRange(0, client.SizeBytes), Token);

        Assert.Equal(new BlockExtent(new ByteRange(0, 1024 * 1024), ExtentKind.Data), extents[0]);
        Assert.Equal(Size, extents.Sum(extent => extent.Range.LengthBytes));
        Assert.Equal(6 * BlockSize.Bytes, (await client.GetDirtyAsync(Context, new ByteRange(0, Size), Token)).TotalBytes);
    }

    [Fact]
    public async Task Unknown_export_is_missing()
    {
        StorageException fault = await Assert.ThrowsAsync<StorageException>(async () => await NbdClient.ConnectAsync(
            await NbdSocket.ConnectUnixAsync(_folder.File("s"), Token), new NbdClientOptions { Export = "vdz" }, Token));

        Assert.Equal(FaultKind.Missing, fault.Kind);
        Assert.Contains("vdz", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Killed_server_fails_what_is_in_flight_as_transient()
    {
        await using NbdClient client = await ConnectAsync(Context);
        await client.ReadAsync(0, new byte[512], Token);
        await _server!.KillAsync();

        StorageException fault = await Assert.ThrowsAsync<StorageException>(async () =>
        {
            while (true)
            {
                await client.ReadAsync(0, new byte[Size], Token);
            }
        });

        Assert.Equal(FaultClass.Transient, fault.Class);
        Assert.False(client.IsConnected);
    }

    private async Task<NbdClient> ConnectAsync(string context) => await NbdClient.ConnectAsync(
        await NbdSocket.ConnectUnixAsync(_folder.File("s"), Token), new NbdClientOptions { Contexts = [context] }, Token);
}
