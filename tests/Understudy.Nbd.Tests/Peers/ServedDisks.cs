using Understudy.Blocks;
using Understudy.Testing.Devices;

namespace Understudy.Nbd.Tests.Peers;

/// <summary>Named disks behind our server on a socket, for as long as a test runs.</summary>
internal sealed class ServedDisks : INbdExports, IAsyncDisposable
{
    public static readonly UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly Dictionary<string, NbdExport> _exports = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stop = new();
    private NbdListener? _listener;
    private Task _serving = Task.CompletedTask;

    public bool Listed { get; set; } = true;

    public static async Task<ServedDisks> OnAsync(string socket, params (string Name, IBlockDevice Device)[] disks)
    {
        ServedDisks served = new();
        foreach ((string name, IBlockDevice device) in disks)
        {
            served._exports.Add(name, new NbdExport(device, $"disk {name}"));
        }

        served._listener = await NbdListener.BindAsync(socket, Mode, TestContext.Current.CancellationToken);
        served._serving = served._listener.RunAsync(
            new NbdServer(served, new NbdServerOptions(), TimeProvider.System), served._stop.Token);
        return served;
    }

    public static MemoryBlockDevice Noise(int sizeBytes, bool isReadOnly = false)
    {
        byte[] content = new byte[sizeBytes];
        new Random(sizeBytes).NextBytes(content);
        return new MemoryBlockDevice(content, isReadOnly);
    }

    public ValueTask<NbdExport?> FindAsync(string name, CancellationToken cancellationToken) =>
        ValueTask.FromResult(_exports.GetValueOrDefault(name));

    public ValueTask<IReadOnlyList<string>?> ListAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<string>?>(Listed ? [.. _exports.Keys.Order(StringComparer.Ordinal)] : null);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving;
        if (_listener is not null)
        {
            await _listener.DisposeAsync();
        }

        _stop.Dispose();
    }
}
