using Understudy.Blocks;
using Understudy.Nbd.Tests.Peers;
using Understudy.Testing;

namespace Understudy.Nbd.Tests.Client;

/// <summary>A server on a disk that hangs answers nothing at all; whoever may not wait for ever says how long.</summary>
public sealed class SilentServerTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder _folder = new();
    private readonly ManualTime _time = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_read_that_is_not_answered_ends_with_the_connection_and_says_so()
    {
        HangingDisk disk = new();
        await using ServedDisks served = await ServedDisks.OnAsync(_folder.File("s"), ("vda", disk));
        await using NbdClient client = await ConnectAsync();
        Task reading = client.ReadAsync(0, new byte[512], Token).AsTask();
        await disk.Asked;

        Advance(Limit - TimeSpan.FromSeconds(1));
        Assert.True(client.IsConnected);
        Advance(Limit);

        StorageException fault = await Assert.ThrowsAsync<StorageException>(() => reading);
        Assert.Equal(FaultClass.Transient, fault.Class);
        Assert.Contains("answered nothing for 60 s", fault.Message, StringComparison.Ordinal);
        Assert.False(client.IsConnected);
        disk.GoOn();
    }

    [Fact]
    public async Task A_connection_on_which_nothing_is_asked_stands_however_long()
    {
        await using ServedDisks served = await ServedDisks.OnAsync(_folder.File("s"), ("vda", ServedDisks.Noise(1024 * 1024)));
        await using NbdClient client = await ConnectAsync();
        await client.ReadAsync(0, new byte[512], Token);

        Advance(10 * Limit);

        await client.ReadAsync(0, new byte[512], Token);
    }

    [Fact]
    public async Task A_server_that_answers_slowly_is_waited_for()
    {
        HangingDisk disk = new();
        await using ServedDisks served = await ServedDisks.OnAsync(_folder.File("s"), ("vda", disk));
        await using NbdClient client = await ConnectAsync();
        for (int i = 0; i < 5; i++)
        {
            Task reading = client.ReadAsync(0, new byte[512], Token).AsTask();
            await disk.Asked;
            Advance(Limit * 0.7);
            disk.GoOn();
            await reading;
        }
    }

    [Fact]
    public async Task A_server_that_greets_nobody_is_given_up()
    {
        (StreamPair ours, _) = StreamPair.Create();
        Task<NbdClient> connecting = NbdClient.ConnectAsync(ours, new NbdClientOptions { Patience = new NbdPatience(Limit, _time) }, Token).AsTask();

        Advance(Limit);

        StorageException fault = await Assert.ThrowsAsync<StorageException>(() => connecting);
        Assert.Contains("answered nothing", fault.Message, StringComparison.Ordinal);
    }

    private void Advance(TimeSpan by) => _time.Advance(by);

    private async Task<NbdClient> ConnectAsync() => await NbdClient.ConnectAsync(
        await NbdSocket.ConnectUnixAsync(_folder.File("s"), Token),
        new NbdClientOptions { Export = "vda", Patience = new NbdPatience(Limit, _time) },
        Token);

    /// <summary>Zeros, each read once the test lets it go on.</summary>
    private sealed class HangingDisk : IBlockDevice
    {
        private volatile TaskCompletionSource _asked = New();
        private volatile TaskCompletionSource _goesOn = New();

        public long SizeBytes => 1024 * 1024;

        public bool IsReadOnly => true;

        public Task Asked => _asked.Task;

        public void GoOn()
        {
            _asked = New();
            Interlocked.Exchange(ref _goesOn, New()).SetResult();
        }

        public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            Task goesOn = _goesOn.Task;
            _asked.SetResult();
            await goesOn;
            buffer.Span.Clear();
        }

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask FlushAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
