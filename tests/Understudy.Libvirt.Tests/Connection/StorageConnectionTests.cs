using System.Diagnostics;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Libvirt.Connection;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Connection;

/// <summary>A libvirtd that takes a connection and says nothing, as one whose threads all wait for a pool does.</summary>
public sealed class StorageConnectionTests : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(300);

    private readonly string _folder = Directory.CreateTempSubdirectory("us-silent-").FullName;
    private readonly Socket _silent = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private LibvirtConnection _connection = null!; // set by InitializeAsync

    public ValueTask InitializeAsync()
    {
        string path = Path.Combine(_folder, "sock");
        _silent.Bind(new UnixDomainSocketEndPoint(path));
        _silent.Listen();
        LibvirtSettings settings = new() { Uri = $"qemu+unix:///system?socket={path}", ScratchFolder = _folder, StorageLimit = Limit };
        _connection = new LibvirtConnection(settings, TimeProvider.System, NullLogger.Instance, threads: 2);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        _silent.Dispose(); // whoever still waits there is told that nobody comes
        await _connection.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>It was waited for outside the limit: half a minute a VM, one after the other.</summary>
    [Fact]
    public async Task A_connection_that_does_not_open_is_waited_for_no_longer_than_an_answer_and_once()
    {
        long start = Stopwatch.GetTimestamp();
        Assert.Equal(HypervisorFault.Busy, (await Assert.ThrowsAsync<HypervisorException>(AskAsync)).Fault);
        long again = Stopwatch.GetTimestamp();
        for (int i = 0; i < 50; i++)
        {
            Assert.Equal(HypervisorFault.Busy, (await Assert.ThrowsAsync<HypervisorException>(AskAsync)).Fault);
            await Assert.ThrowsAsync<HypervisorException>(() => _connection.RequireConnectionAsync("read the disk sizes", default));
        }

        Assert.True(Stopwatch.GetElapsedTime(start, again) < TimeSpan.FromSeconds(10), $"{Stopwatch.GetElapsedTime(start, again)}"); // libvirt's own limit is 15 s
        Assert.True(Stopwatch.GetElapsedTime(again) < TimeSpan.FromSeconds(10), $"{Stopwatch.GetElapsedTime(again)}");
    }

    /// <summary>What is read past libvirt needs no libvirt.</summary>
    [Fact]
    public async Task Files_are_read_while_no_connection_can_be_had() =>
        Assert.Equal(7, await _connection.OnFilesAsync("read the disk sizes", () => 7, default));

    private Task<int> AskAsync() => _connection.OnStorageAsync("list the storage pools", _ => 0, default);
}
