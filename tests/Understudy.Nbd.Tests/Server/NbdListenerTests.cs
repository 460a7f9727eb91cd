using System.Net.Sockets;
using Understudy.Blocks;
using Understudy.Nbd.Tests.Peers;
using Understudy.Testing.Devices;

namespace Understudy.Nbd.Tests.Server;

public sealed class NbdListenerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Socket_has_its_mode_and_goes_with_the_listener()
    {
        UnixFileMode mode = ServedDisks.Mode | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;
        NbdListener listener = await NbdListener.BindAsync(_folder.File("s"), mode, TestContext.Current.CancellationToken);

        Assert.Equal(mode, File.GetUnixFileMode(_folder.File("s")));
        await listener.DisposeAsync();
        Assert.False(File.Exists(_folder.File("s")));
    }

    [Fact]
    public async Task Socket_left_behind_by_a_dead_server_is_replaced()
    {
        using (Socket dead = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(_folder.File("s0")));
            File.Move(_folder.File("s0"), _folder.File("s")); // .NET removes a socket by the name it was bound to.
        }

        Assert.True(File.Exists(_folder.File("s")));
        await using ServedDisks served = await ServedDisks.OnAsync(_folder.File("s"), ("vda", new MemoryBlockDevice(4096)));
        await using Stream connected = await NbdSocket.ConnectUnixAsync(_folder.File("s"), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Socket_that_another_server_answers_is_left_alone()
    {
        await using ServedDisks served = await ServedDisks.OnAsync(_folder.File("s"), ("vda", new MemoryBlockDevice(4096)));

        StorageException fault = await Assert.ThrowsAsync<StorageException>(
            async () => await NbdListener.BindAsync(_folder.File("s"), ServedDisks.Mode, TestContext.Current.CancellationToken));

        Assert.Equal(FaultKind.Exists, fault.Kind);
        await using Stream connected = await NbdSocket.ConnectUnixAsync(_folder.File("s"), TestContext.Current.CancellationToken);
    }
}
