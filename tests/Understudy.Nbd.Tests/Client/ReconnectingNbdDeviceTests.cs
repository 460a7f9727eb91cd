using Understudy.Blocks;
using Understudy.Nbd.Tests.Peers;
using Understudy.Testing.Devices;

namespace Understudy.Nbd.Tests.Client;

public sealed class ReconnectingNbdDeviceTests : IDisposable
{
    private const int Size = 1024 * 1024;

    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Socket => _folder.File("s");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Read_waits_for_a_server_that_comes_back_and_is_right()
    {
        MemoryBlockDevice disk = ServedDisks.Noise(Size);
        ServedDisks first = await ServedDisks.OnAsync(Socket, ("vda", disk));
        await using ReconnectingNbdDevice device = await OpenAsync(TimeSpan.FromSeconds(20));
        await first.DisposeAsync();
        byte[] read = new byte[Size];

        Task reading = device.ReadAsync(0, read, Token).AsTask();
        await using ServedDisks second = await ServedDisks.OnAsync(Socket, ("vda", disk));
        await reading;

        Assert.True(disk.Content.Span.SequenceEqual(read));
        Assert.Equal(1, device.Reconnects);
    }

    [Fact]
    public async Task Many_reads_that_wait_share_one_new_connection()
    {
        MemoryBlockDevice disk = ServedDisks.Noise(Size);
        ServedDisks first = await ServedDisks.OnAsync(Socket, ("vda", disk));
        await using ReconnectingNbdDevice device = await OpenAsync(TimeSpan.FromSeconds(20));
        await first.DisposeAsync();

        Task[] reading = [.. Enumerable.Range(0, 32).Select(i => device.ReadAsync(i * 512, new byte[512], Token).AsTask())];
        await using ServedDisks second = await ServedDisks.OnAsync(Socket, ("vda", disk));
        await Task.WhenAll(reading);

        Assert.Equal(1, device.Reconnects);
    }

    [Fact]
    public async Task Read_gives_up_as_transient_when_nobody_comes_back_within_the_limit()
    {
        ServedDisks first = await ServedDisks.OnAsync(Socket, ("vda", ServedDisks.Noise(Size)));
        await using ReconnectingNbdDevice device = await OpenAsync(TimeSpan.FromMilliseconds(50));
        await first.DisposeAsync();

        StorageException fault = await Assert.ThrowsAsync<StorageException>(async () => await device.ReadAsync(0, new byte[512], Token));

        Assert.Equal(FaultClass.Transient, fault.Class);
        Assert.Contains("did not come back", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unflushed_write_on_a_lost_connection_kills_the_device_for_good()
    {
        MemoryBlockDevice disk = ServedDisks.Noise(Size);
        ServedDisks first = await ServedDisks.OnAsync(Socket, ("vda", disk));
        await using ReconnectingNbdDevice device = await OpenAsync(TimeSpan.FromSeconds(20));
        await device.WriteAsync(0, new byte[512], Token);
        await first.DisposeAsync();
        await using ServedDisks second = await ServedDisks.OnAsync(Socket, ("vda", disk));

        StorageException flush = await Assert.ThrowsAsync<StorageException>(async () => await device.FlushAsync(Token));
        StorageException read = await Assert.ThrowsAsync<StorageException>(async () => await device.ReadAsync(0, new byte[512], Token));

        Assert.Equal((FaultKind.FlushFailed, FaultKind.FlushFailed), (flush.Kind, read.Kind));
        Assert.Equal(0, device.Reconnects);
    }

    [Fact]
    public async Task A_full_disk_behind_the_server_is_said_to_be_full_at_a_write_and_at_a_flush()
    {
        await using ServedDisks served = await ServedDisks.OnAsync(Socket, ("vda", new FailingDevice(FaultKind.Full)));
        await using ReconnectingNbdDevice device = await OpenAsync(TimeSpan.FromSeconds(20));

        StorageException write = await Assert.ThrowsAsync<StorageException>(async () => await device.WriteAsync(0, new byte[512], Token));
        StorageException flush = await Assert.ThrowsAsync<StorageException>(async () => await device.FlushAsync(Token));
        StorageException read = await Assert.ThrowsAsync<StorageException>(async () => await device.ReadAsync(0, new byte[512], Token));

        Assert.Equal((FaultKind.Full, FaultKind.FlushFailed, FaultKind.FlushFailed), (write.Kind, flush.Kind, read.Kind));
        foreach (StorageException fault in (StorageException[])[write, flush, read])
        {
            Assert.Contains("NoSpace", fault.Message, StringComparison.Ordinal);
            Assert.Contains("room", fault.Remedy, StringComparison.Ordinal);
            Assert.DoesNotContain("connection was lost", fault.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Flushed_writes_survive_a_lost_connection_and_writing_goes_on()
    {
        MemoryBlockDevice disk = ServedDisks.Noise(Size);
        ServedDisks first = await ServedDisks.OnAsync(Socket, ("vda", disk));
        await using ReconnectingNbdDevice device = await OpenAsync(TimeSpan.FromSeconds(20));
        await device.WriteAsync(0, new byte[512], Token);
        await device.FlushAsync(Token);
        await first.DisposeAsync();
        await using ServedDisks second = await ServedDisks.OnAsync(Socket, ("vda", disk));

        await device.FlushAsync(Token);
        byte[] read = new byte[512];
        await device.ReadAsync(0, read, Token);
        await device.WriteAsync(512, new byte[512], Token);
        await device.FlushAsync(Token);

        Assert.True(ZeroScan.IsZero(read));
        Assert.True(ZeroScan.IsZero(disk.Content.Span[..1024]));
    }

    [Fact]
    public async Task Another_disk_in_its_place_is_refused()
    {
        ServedDisks first = await ServedDisks.OnAsync(Socket, ("vda", ServedDisks.Noise(Size)));
        await using ReconnectingNbdDevice device = await OpenAsync(TimeSpan.FromSeconds(20));
        await first.DisposeAsync();
        await using ServedDisks second = await ServedDisks.OnAsync(Socket, ("vda", ServedDisks.Noise(Size * 2)));

        StorageException fault = await Assert.ThrowsAsync<StorageException>(async () => await device.ReadAsync(0, new byte[512], Token));

        Assert.Equal(FaultKind.Corrupt, fault.Kind);
    }

    [Fact]
    public async Task Qemu_storage_daemon_killed_and_restarted_costs_a_read_a_wait()
    {
        Assert.SkipUnless(PeerProcess.Exists("qemu-storage-daemon"), "needs qemu-storage-daemon");
        byte[] content = ServedDisks.Noise(Size).Content.ToArray();
        await File.WriteAllBytesAsync(_folder.File("d"), content);
        PeerProcess first = await StorageDaemon.ExportFileAsync(Socket, _folder.File("d"));
        await using ReconnectingNbdDevice device = await OpenAsync(TimeSpan.FromSeconds(20));
        byte[] read = new byte[Size];
        await device.ReadAsync(0, read, Token);
        await first.KillAsync();
        await first.DisposeAsync();
        Array.Clear(read);

        Task reading = device.ReadAsync(0, read, Token).AsTask();
        File.Delete(Socket);
        await using PeerProcess second = await StorageDaemon.ExportFileAsync(Socket, _folder.File("d"));
        await reading;

        Assert.Equal(content, read);
    }

    private async Task<ReconnectingNbdDevice> OpenAsync(TimeSpan limit) => await ReconnectingNbdDevice.OpenAsync(
        "vda",
        async token => await NbdClient.ConnectAsync(
            await NbdSocket.ConnectUnixAsync(Socket, token), new NbdClientOptions { Export = "vda" }, token),
        TimeProvider.System,
        new NbdReconnectOptions { Limit = limit, Pause = TimeSpan.FromMilliseconds(5) },
        Token);
}
