using Understudy.Blocks;
using Understudy.Nbd.Tests.Peers;
using Understudy.Testing.Devices;
using static Understudy.Nbd.Tests.Peers.Wire;

namespace Understudy.Nbd.Tests.Server;

/// <summary>A client that says anything: it loses its connection or gets an error number, and the disk stays as it was.</summary>
public sealed class HostileClientTests : INbdExports
{
    private const ushort Read = 0;
    private const ushort Write = 1;
    private const ushort Flush = 3;
    private const ushort Trim = 4;
    private const ushort WriteZeroes = 6;
    private const ushort BlockStatus = 7;
    private const int Size = 1024 * 1024;

    private readonly MemoryBlockDevice _disk = new(Size);
    private readonly MemoryBlockDevice _sealed = new(Size, isReadOnly: true);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string> HandshakeNonsense => [.. s_handshakes.Keys];

    private static readonly Dictionary<string, byte[]> s_handshakes = new()
    {
        ["flags that were not offered"] = Join(0xff00_0003u),
        ["not fixed newstyle"] = Join(2u),
        ["wrong option magic"] = Join(3u, OptionMagic + 1, 7u, 0u),
        ["huge option"] = Join(3u, "IHAVEOPT", 7u, uint.MaxValue),
        ["old option with an unknown name"] = Join(3u, Option(1, "nowhere")),
        ["no end of options"] = Join([3u, .. Enumerable.Repeat(Option(3), 300)]),
        ["HTTP"] = Join("GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"),
    };

    [Theory]
    [MemberData(nameof(HandshakeNonsense))]
    public async Task Nonsense_in_the_handshake_costs_the_connection(string what)
    {
        NbdServerOptions patient = new() { HandshakeLimit = Timeout.InfiniteTimeSpan }; // So that only the nonsense can end it.
        (StreamPair theirs, Task serving) = Serve(patient);
        Task draining = DrainAsync(theirs);
        try
        {
            await theirs.SendAsync(s_handshakes[what]);
        }
        catch (InvalidOperationException)
        {
            // The server had closed its side before all was said.
        }

        await serving;
        await draining;
    }

    [Fact]
    public async Task Client_that_says_nothing_is_sent_away()
    {
        (_, Task serving) = Serve(new NbdServerOptions { HandshakeLimit = TimeSpan.FromMilliseconds(20) });

        await serving;
    }

    [Fact]
    public async Task Handshake_cut_at_any_byte_ends_quietly()
    {
        byte[] whole = Join(3u, Option(8), Option(10, 3u, "vda", 1u, 15u, "base:allocation"), Option(7, 3u, "vda", (ushort)0));
        for (int cut = 0; cut < whole.Length; cut++)
        {
            (StreamPair theirs, Task serving) = Serve();
            await theirs.SendAsync(whole[..cut]);
            await theirs.DisposeAsync();
            await serving;
        }
    }

    [Theory]
    [InlineData(5u, 0x8000_0001u)] // STARTTLS
    [InlineData(999u, 0x8000_0001u)]
    [InlineData(10u, 0x8000_0003u)] // Contexts before structured replies.
    [InlineData(7u, 0x8000_0003u)] // GO without a name.
    public async Task Option_that_cannot_be_had_is_refused_and_the_next_one_heard(uint option, uint refusal)
    {
        (StreamPair theirs, Task serving) = Serve();
        await theirs.TakeAsync(18);
        await theirs.SendAsync(3u, Option(option, "zz"));

        byte[] reply = await theirs.TakeAsync(20);
        await theirs.TakeAsync((int)reply.U32(16));
        await theirs.SendAsync(Option(2));

        Assert.Equal((option, refusal), (reply.U32(8), reply.U32(12)));
        Assert.Equal(1u, (await theirs.TakeAsync(20)).U32(12));
        await serving;
    }

    [Theory]
    [InlineData("vda", Read, 0u, Size, 1u, 22u)] // Behind the end.
    [InlineData("vda", Read, 0u, ulong.MaxValue, 512u, 22u)]
    [InlineData("vda", Read, 0u, 0, 0u, 22u)] // Empty.
    [InlineData("vda", Read, 0u, 0, uint.MaxValue, 75u)] // More than any buffer.
    [InlineData("vda", Read, 2u, 0, 512u, 22u)] // A flag that was not offered.
    [InlineData("vda", Write, 0u, Size - 256, 512u, 28u)]
    [InlineData("vda", Trim, 0u, Size, 512u, 28u)]
    [InlineData("vda", WriteZeroes, 0u, 0, uint.MaxValue, 28u)]
    [InlineData("vda", WriteZeroes, 16u, 0, 512u, 22u)] // Fast zero.
    [InlineData("vda", BlockStatus, 0u, 0, 512u, 22u)] // No context was negotiated.
    [InlineData("vda", 5, 0u, 0, 512u, 22u)] // Cache.
    [InlineData("vda", 99, 0u, 0, 512u, 22u)]
    [InlineData("sealed", Write, 0u, 0, 512u, 1u)]
    [InlineData("sealed", Trim, 0u, 0, 512u, 1u)]
    [InlineData("sealed", WriteZeroes, 0u, 0, 512u, 1u)]
    public async Task Request_that_may_not_be_gets_its_error_and_the_stream_stays_in_step(
        string export, ushort command, uint flags, ulong offset, uint length, uint error)
    {
        (StreamPair theirs, Task serving) = await OpenAsync(export);
        byte[] payload = command == Write ? Enumerable.Repeat((byte)0x25, (int)length).ToArray() : [];

        await theirs.SendAsync(Request(command, 7, offset, length, (ushort)flags), payload, Request(Flush, 8, 0, 0), Request(2, 9, 0, 0));

        byte[][] replies = [await theirs.TakeAsync(16), await theirs.TakeAsync(16)];
        byte[] refused = replies.Single(reply => reply.U64(8) == 7);
        byte[] flushed = replies.Single(reply => reply.U64(8) == 8);
        Assert.Equal((0x67446698u, error), (refused.U32(0), refused.U32(4)));
        Assert.Equal(0u, flushed.U32(4));
        await serving;
        Assert.True(ZeroScan.IsZero(_disk.Content.Span) && ZeroScan.IsZero(_sealed.Content.Span));
    }

    [Theory]
    [InlineData(0x25609514u, Read, 512u)]
    [InlineData(0x25609513u, Write, 32u * 1024 * 1024 + 1)]
    [InlineData(0x25609513u, Write, uint.MaxValue)]
    public async Task Request_after_which_nothing_can_be_trusted_costs_the_connection(uint magic, ushort command, uint length)
    {
        (StreamPair theirs, Task serving) = await OpenAsync("vda");

        await theirs.SendAsync(magic, (ushort)0, command, 7UL, 0UL, length);

        await serving;
        Assert.Equal(0, await theirs.ReadAsync(new byte[1], Token));
    }

    [Fact]
    public async Task Write_cut_inside_its_payload_never_reaches_the_disk()
    {
        (StreamPair theirs, Task serving) = await OpenAsync("vda");

        await theirs.SendAsync(Request(Write, 7, 0, 4096), Enumerable.Repeat((byte)1, 4095).ToArray());
        await theirs.DisposeAsync();

        await serving;
        Assert.True(ZeroScan.IsZero(_disk.Content.Span));
    }

    [Fact]
    public async Task Client_that_leaves_without_goodbye_ends_quietly()
    {
        (StreamPair theirs, Task serving) = await OpenAsync("vda");

        await theirs.DisposeAsync();

        await serving;
    }

    [Fact]
    public async Task Stopping_the_server_ends_a_connection_that_waits_for_requests()
    {
        using CancellationTokenSource stop = new();
        (_, Task serving) = await OpenAsync("vda", stop.Token);

        await stop.CancelAsync();

        await serving;
    }

    ValueTask<NbdExport?> INbdExports.FindAsync(string name, CancellationToken cancellationToken) => ValueTask.FromResult(name switch
    {
        "vda" => new NbdExport(_disk),
        "sealed" => new NbdExport(_sealed),
        _ => null,
    });

    ValueTask<IReadOnlyList<string>?> INbdExports.ListAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<string>?>(null);

    private static async Task DrainAsync(Stream stream)
    {
        byte[] buffer = new byte[4096];
        while (await stream.ReadAsync(buffer, Token) > 0)
        {
        }
    }

    private (StreamPair Theirs, Task Serving) Serve(NbdServerOptions? options = null, CancellationToken stop = default)
    {
        (StreamPair ours, StreamPair theirs) = StreamPair.Create();
        return (theirs, new NbdServer(this, options ?? new NbdServerOptions(), TimeProvider.System).ServeAsync(ours, stop));
    }

    /// <summary>A client that chose its export by the old option and without structured replies: the barest there is.</summary>
    private async Task<(StreamPair Theirs, Task Serving)> OpenAsync(string export, CancellationToken stop = default)
    {
        (StreamPair theirs, Task serving) = Serve(stop: stop);
        await theirs.TakeAsync(18);
        await theirs.SendAsync(3u, Option(1, export));
        Assert.Equal(Size, (long)(await theirs.TakeAsync(10)).U64(0));
        return (theirs, serving);
    }
}
