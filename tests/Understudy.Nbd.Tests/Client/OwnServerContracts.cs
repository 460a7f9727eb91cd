using Understudy.Blocks;
using Understudy.Nbd.Tests.Peers;
using Understudy.Testing.Contracts;
using Understudy.Testing.Devices;

namespace Understudy.Nbd.Tests.Client;

/// <summary>Client and server of ours, back to back: what a device promises survives the wire.</summary>
public sealed class OwnServerContract : BlockDeviceContract, IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();
    private ServedDisks? _served;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_served is not null)
        {
            await _served.DisposeAsync();
        }

        _folder.Dispose();
    }

    protected override async ValueTask<IBlockDevice> OpenEmptyAsync(long sizeBytes)
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        _served = await ServedDisks.OnAsync(_folder.File("s"), ("vda", new MemoryBlockDevice(sizeBytes)));
        return await NbdClient.ConnectAsync(
            await NbdSocket.ConnectUnixAsync(_folder.File("s"), token), new NbdClientOptions { Export = "vda" }, token);
    }
}

/// <summary>The same through the device that reconnects.</summary>
public sealed class ReconnectingContract : BlockDeviceContract, IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();
    private ServedDisks? _served;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_served is not null)
        {
            await _served.DisposeAsync();
        }

        _folder.Dispose();
    }

    protected override async ValueTask<IBlockDevice> OpenEmptyAsync(long sizeBytes)
    {
        _served = await ServedDisks.OnAsync(_folder.File("s"), ("vda", new MemoryBlockDevice(sizeBytes)));
        return await ReconnectingNbdDevice.OpenAsync(
            "vda",
            async token => await NbdClient.ConnectAsync(
                await NbdSocket.ConnectUnixAsync(_folder.File("s"), token), new NbdClientOptions { Export = "vda" }, token),
            TimeProvider.System,
            new NbdReconnectOptions(),
            TestContext.Current.CancellationToken);
    }
}
