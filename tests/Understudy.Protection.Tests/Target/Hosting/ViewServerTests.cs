using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Nbd;
using Understudy.Protection.Target.Hosting;
using Understudy.Protection.Tests.Target.World;

namespace Understudy.Protection.Tests.Target.Hosting;

public sealed class ViewServerTests
{
    private const string Path = "/run/views.sock";

    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);
    private static readonly RecoveryPointId Point = new(new LineId(1, 7), 3);
    private static readonly DiskId Disk = new(0);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>On the day a disk fails a view may not be closed cleanly. Whoever pauses the server to open the replica anew waits for
    /// all connections, and must not meet that fault again and again.</summary>
    [Fact]
    public async Task A_view_that_cannot_be_closed_cleanly_ends_with_its_connection_and_the_next_ones_are_served()
    {
        ModelSockets sockets = new(new ModelHost());
        BadViews views = new();
        ViewServer server = new(views, sockets, Path, TimeProvider.System, NullLogger.Instance);
        server.Hold(Guid.NewGuid(), Point, "a test");
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        Task running = server.RunAsync(() => { }, stop.Token);

        for (int round = 1; round <= 2; round++)
        {
            await using (NbdClient client = await ConnectAsync(sockets))
            {
                await client.ReadAsync(0, new byte[512], Ct);
                await server.PauseAsync().AsTask().WaitAsync(Soon, Ct);
                Assert.Equal(round, views.Closed);
            }

            server.Resume();
        }

        await stop.CancelAsync();
        await running.WaitAsync(Soon, Ct);
    }

    private static async Task<NbdClient> ConnectAsync(ModelSockets sockets) =>
        await NbdClient.ConnectAsync(await sockets.ConnectAsync(Path, Ct), new NbdClientOptions { Export = ViewExportName.For(Point, Disk) }, Ct);

    private sealed class BadViews : IViews
    {
        public int Closed { get; private set; }

        public ValueTask<IBlockDevice> OpenAsync(RecoveryPointId point, DiskId disk, CancellationToken cancellationToken) => new(new BadView(this));

        private sealed class BadView(BadViews views) : IBlockDevice
        {
            public long SizeBytes => 65536;

            public bool IsReadOnly => true;

            public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
            {
                buffer.Span.Clear();
                return default;
            }

            public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw new NotSupportedException();

            public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw new NotSupportedException();

            public ValueTask FlushAsync(CancellationToken cancellationToken) => default;

            public ValueTask DisposeAsync()
            {
                views.Closed++;
                throw new StorageException(FaultKind.Io, "extents", "the disk does not answer");
            }
        }
    }
}
