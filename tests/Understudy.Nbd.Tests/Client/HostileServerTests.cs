using Understudy.Blocks;
using Understudy.Nbd.Tests.Peers;
using static Understudy.Nbd.Tests.Peers.Wire;

namespace Understudy.Nbd.Tests.Client;

/// <summary>A server that says anything: the client refuses, holds nothing, and never waits for ever.</summary>
public sealed class HostileServerTests
{
    private const ushort Data = 1;
    private const ushort Hole = 2;
    private const ushort Status = 5;
    private const int Size = 1024 * 1024;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string> HandshakeNonsense => [.. s_handshakes.Keys];

    public static TheoryData<string> ReplyNonsense => [.. s_replies.Keys];

    private static readonly Dictionary<string, byte[]> s_handshakes = new()
    {
        ["not NBD at all"] = Join("HTTP/1.1 400 Bad Request\r\n\r\n"),
        ["oldstyle"] = Join("NBDMAGIC", 0x00420281861253L, new byte[152]),
        ["not fixed"] = Join("NBDMAGIC", "IHAVEOPT", (ushort)0),
        ["wrong reply magic"] = Join(Greeting(), ReplyMagic + 1, 8u, 1u, 0u),
        ["reply to another option"] = Join(Greeting(), OptionReply(7, 1)),
        ["huge reply"] = Join(Greeting(), ReplyMagic, 8u, 3u, uint.MaxValue),
        ["context not asked for"] = Join(Greeting(), OptionReply(8, 1), OptionReply(10, 4, 1u, "base:other")),
        ["no end of replies"] = Join(
            [Greeting(), OptionReply(8, 1), OptionReply(10, 1), .. Enumerable.Repeat(OptionReply(7, 3, (ushort)2, "text"), 300)]),
        ["information that ends early"] = Join(Greeting(), OptionReply(8, 1), OptionReply(10, 1), OptionReply(7, 3, (ushort)0, 1u)),
        ["granted without a size"] = Join(Greeting(), OptionReply(8, 1), OptionReply(10, 1), OptionReply(7, 1)),
        ["larger than any disk"] = Granted(ulong.MaxValue),
        ["block size of three"] = Granted(Size, 3, 65536),
        ["largest block below the smallest"] = Granted(Size, 4096, 512),
    };

    /// <summary>Answers to a read of 8192 bytes at 4096, the first request: its cookie is put in for %.</summary>
    private static readonly Dictionary<string, Func<ulong, byte[]>> s_replies = new()
    {
        ["wrong magic"] = _ => Join(0x12345678u, new byte[16]),
        ["unknown cookie"] = cookie => Chunk(0, cookie + 1, done: true),
        ["unknown slot"] = _ => Chunk(0, 255, done: true),
        ["simple reply where chunks were agreed"] = cookie => Join(0x67446698u, 0u, cookie),
        ["unknown chunk type"] = cookie => Chunk(77, cookie, done: true),
        ["empty chunk that is not the last"] = cookie => Chunk(0, cookie, done: false),
        ["done without the data"] = cookie => Chunk(0, cookie, done: true),
        ["done with half of the data"] = cookie => Chunk(Data, cookie, true, 4096UL, new byte[4096]),
        ["data before the range"] = cookie => Chunk(Data, cookie, true, 0UL, new byte[8192]),
        ["data behind the range"] = cookie => Chunk(Data, cookie, true, 8192UL, new byte[8192]),
        ["data at an offset that overflows"] = cookie => Chunk(Data, cookie, true, ulong.MaxValue - 100, new byte[8192]),
        ["data chunk without data"] = cookie => Chunk(Data, cookie, true, 4096UL),
        ["more data than asked for, said only"] = cookie => Join(0x668e33efu, (ushort)1, Data, cookie, uint.MaxValue, 4096UL),
        ["the same data twice"] = cookie => Join(
            Chunk(Data, cookie, false, 4096UL, new byte[4096]), Chunk(Data, cookie, true, 4096UL, new byte[4096])),
        ["the same data twice, out of order"] = cookie => Join(
            Chunk(Data, cookie, false, 8192UL, new byte[4096]), Chunk(Data, cookie, true, 8192UL, new byte[4096])),
        ["hole of another length"] = cookie => Chunk(Hole, cookie, true, 4096UL, 8193u),
        ["hole without a length"] = cookie => Chunk(Hole, cookie, true, 4096UL),
        ["block status to a read"] = cookie => Chunk(Status, cookie, true, 1u, 4096u, 0u),
        ["error chunk without an error"] = cookie => Chunk(0x8001, cookie, true, 0u, (ushort)0),
        ["error text longer than its chunk"] = cookie => Chunk(0x8001, cookie, true, 5u, (ushort)50, "short"),
    };

    [Theory]
    [MemberData(nameof(HandshakeNonsense))]
    public async Task Nonsense_in_the_handshake_is_refused_and_the_stream_closed(string what)
    {
        (StreamPair ours, StreamPair theirs) = StreamPair.Create();
        await theirs.SendAsync(s_handshakes[what]);

        StorageException fault = await Assert.ThrowsAsync<StorageException>(
            async () => await NbdClient.ConnectAsync(ours, new NbdClientOptions(), Token));

        Assert.Equal(FaultKind.Corrupt, fault.Kind);
        await DrainAsync(theirs); // Ends because the client closed its side.
    }

    [Fact]
    public async Task Handshake_cut_at_any_byte_is_a_lost_connection()
    {
        byte[] whole = Granted(Size);
        for (int cut = 0; cut < whole.Length; cut++)
        {
            (StreamPair ours, StreamPair theirs) = StreamPair.Create();
            await theirs.SendAsync(whole[..cut]);
            ValueTask<NbdClient> connecting = NbdClient.ConnectAsync(ours, new NbdClientOptions(), Token);
            await theirs.DisposeAsync();

            StorageException fault = await Assert.ThrowsAsync<StorageException>(async () => await connecting);

            Assert.Equal(FaultClass.Transient, fault.Class);
        }
    }

    [Theory]
    [MemberData(nameof(ReplyNonsense))]
    public async Task Nonsense_in_a_reply_ends_the_connection_for_all_that_wait(string what)
    {
        (StreamPair theirs, NbdClient client) = await ConnectAsync();
        await using NbdClient owned = client;
        Task first = client.ReadAsync(4096, new byte[8192], Token).AsTask();
        ulong cookie = (await theirs.TakeAsync(28)).U64(8);
        Task second = client.ReadAsync(0, new byte[512], Token).AsTask();
        await theirs.TakeAsync(28);

        await theirs.SendAsync(s_replies[what](cookie));

        foreach (Task waiting in (Task[])[first, second])
        {
            StorageException fault = await Assert.ThrowsAsync<StorageException>(() => waiting);
            Assert.Equal(FaultKind.Corrupt, fault.Kind);
        }

        Assert.False(client.IsConnected);
    }

    [Fact]
    public async Task Replies_in_any_order_and_pieces_find_their_requests()
    {
        (StreamPair theirs, NbdClient client) = await ConnectAsync();
        await using NbdClient owned = client;
        byte[] first = new byte[8192];
        byte[] second = new byte[512];
        Array.Fill(first, (byte)9);
        Task reading = client.ReadAsync(4096, first, Token).AsTask();
        ulong firstCookie = (await theirs.TakeAsync(28)).U64(8);
        Task readingToo = client.ReadAsync(0, second, Token).AsTask();
        ulong secondCookie = (await theirs.TakeAsync(28)).U64(8);

        await theirs.SendAsync(
            Chunk(Data, firstCookie, false, 8192UL, Enumerable.Repeat((byte)2, 4096).ToArray()),
            Chunk(Data, secondCookie, true, 0UL, Enumerable.Repeat((byte)5, 512).ToArray()),
            Chunk(Hole, firstCookie, false, 4096UL, 4096u),
            Chunk(0, firstCookie, true));
        await Task.WhenAll(reading, readingToo);

        Assert.True(ZeroScan.IsZero(first.AsSpan(0, 4096)));
        Assert.All(first[4096..], b => Assert.Equal(2, b));
        Assert.All(second, b => Assert.Equal(5, b));
    }

    [Fact]
    public async Task Error_of_the_server_reaches_its_caller_only_and_the_connection_goes_on()
    {
        (StreamPair theirs, NbdClient client) = await ConnectAsync();
        await using NbdClient owned = client;
        Task failing = client.ReadAsync(4096, new byte[8192], Token).AsTask();
        ulong cookie = (await theirs.TakeAsync(28)).U64(8);
        await theirs.SendAsync(Chunk(0x8001, cookie, true, 5u, (ushort)9, "bad block"));

        StorageException fault = await Assert.ThrowsAsync<StorageException>(() => failing);

        Assert.Equal(FaultKind.Io, fault.Kind);
        Assert.Contains("bad block", fault.Message, StringComparison.Ordinal);
        Assert.True(client.IsConnected);
    }

    [Fact]
    public async Task Failed_flush_kills_the_device()
    {
        (StreamPair theirs, NbdClient client) = await ConnectAsync();
        await using NbdClient owned = client;
        Task flushing = client.FlushAsync(Token).AsTask();
        await theirs.SendAsync(0x67446698u, 5u, (await theirs.TakeAsync(28)).U64(8));

        StorageException flush = await Assert.ThrowsAsync<StorageException>(() => flushing);
        StorageException read = await Assert.ThrowsAsync<StorageException>(async () => await client.ReadAsync(0, new byte[512], Token));

        Assert.Equal((FaultKind.FlushFailed, FaultKind.FlushFailed), (flush.Kind, read.Kind));
    }

    [Fact]
    public async Task Connection_cut_inside_a_payload_is_transient()
    {
        (StreamPair theirs, NbdClient client) = await ConnectAsync();
        await using NbdClient owned = client;
        Task reading = client.ReadAsync(4096, new byte[8192], Token).AsTask();
        ulong cookie = (await theirs.TakeAsync(28)).U64(8);
        await theirs.SendAsync(Chunk(Data, cookie, true, 4096UL, new byte[8192])[..5000]);
        await theirs.DisposeAsync();

        StorageException fault = await Assert.ThrowsAsync<StorageException>(() => reading);

        Assert.Equal(FaultClass.Transient, fault.Class);
    }

    [Fact]
    public async Task Silent_server_does_not_hold_a_caller_that_cancels()
    {
        (StreamPair theirs, NbdClient client) = await ConnectAsync();
        await using NbdClient owned = client;
        using CancellationTokenSource cancel = new();
        Task reading = client.ReadAsync(0, new byte[512], cancel.Token).AsTask();
        Task other = client.ReadAsync(512, new byte[512], Token).AsTask();
        await theirs.TakeAsync(56);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        await Assert.ThrowsAsync<StorageException>(() => other);
        Assert.False(client.IsConnected);
    }

    [Fact]
    public async Task Closing_the_client_frees_whoever_waits_on_a_silent_server()
    {
        (StreamPair theirs, NbdClient client) = await ConnectAsync();
        Task reading = client.ReadAsync(0, new byte[512], Token).AsTask();
        await theirs.TakeAsync(28);

        await client.DisposeAsync();

        StorageException fault = await Assert.ThrowsAsync<StorageException>(() => reading);
        Assert.Equal(FaultKind.Closed, fault.Kind);
    }

    [Fact]
    public async Task Block_status_that_makes_no_progress_is_nonsense()
    {
        (StreamPair theirs, NbdClient client) = await ConnectAsync();
        await using NbdClient owned = client;
        Task asking = client.GetExtentsAsync(new ByteRange(0, Size), Token).AsTask();
        ulong cookie = (await theirs.TakeAsync(28)).U64(8);
        await theirs.SendAsync(Chunk(Status, cookie, true, 1u, 0u, 0u));

        StorageException fault = await Assert.ThrowsAsync<StorageException>(() => asking);

        Assert.Equal(FaultKind.Corrupt, fault.Kind);
    }

    private static byte[] Granted(ulong size, uint min = 1, uint max = 32 << 20) => Join(
        Greeting(),
        OptionReply(8, 1),
        OptionReply(10, 4, 1u, "base:allocation"),
        OptionReply(10, 1),
        OptionReply(7, 3, (ushort)3, min, 4096u, max),
        OptionReply(7, 3, (ushort)0, size, (ushort)0b1111_1101),
        OptionReply(7, 1));

    private static async Task<(StreamPair Theirs, NbdClient Client)> ConnectAsync()
    {
        (StreamPair ours, StreamPair theirs) = StreamPair.Create();
        await theirs.SendAsync(Granted(Size));
        NbdClient client = await NbdClient.ConnectAsync(ours, new NbdClientOptions(), Token);
        int asked = 4 + Option(8).Length + Option(10, 0u, 1u, 15u, "base:allocation").Length + Option(7, 0u, (ushort)1, (ushort)3).Length;
        await theirs.TakeAsync(asked);
        return (theirs, client);
    }

    private static async Task DrainAsync(Stream stream)
    {
        byte[] buffer = new byte[4096];
        while (await stream.ReadAsync(buffer, Token) > 0)
        {
        }
    }
}
