using System.Globalization;
using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Qemu.Processes;

namespace Understudy.Qemu;

/// <summary>
/// Reads images through qemu-nbd with QEMU's lock shared, so that a program which has one open goes on and one that wants it
/// may come. Each process serves one connection and ends with it, also when this process is killed.
/// </summary>
/// <param name="folder">For sockets; this process's own.</param>
public sealed class ImageReader(QemuSettings settings, ILocalSockets sockets, string folder) : IImageReader
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    private int _number;

    public async ValueTask<ServedImage> OpenAsync(string path, string format, CancellationToken cancellationToken)
    {
        string socket = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"image-{Interlocked.Increment(ref _number)}.sock"));
        string options = $"driver={format},force-share=on,file.driver={ImageDrivers.Of(path)},file.locking=auto,file.filename={path.Replace(",", ",,", StringComparison.Ordinal)}";
        ServingTool server = ServingTool.Start([settings.ImageServerProgram, "--image-opts", "--read-only", "--shared=1", "--socket", socket, options], socket);
        long deadline = Environment.TickCount64 + (long)settings.CommandLimit.TotalMilliseconds;
        using PeriodicTimer timer = new(Look);
        while (true)
        {
            try
            {
                return new ServedImage(await sockets.ConnectAsync(socket, cancellationToken), server);
            }
            catch (StorageException) when (!server.HasEnded && Environment.TickCount64 < deadline)
            {
                await timer.WaitForNextTickAsync(cancellationToken); // It is opening the image.
            }
            catch (StorageException notYet)
            {
                string words = await server.EndAsync();
                await server.DisposeAsync();
                throw new ImageToolException(FaultClass.NeedsOperator, $"{path} cannot be read: {words}", "See that the image is there and whole.", notYet);
            }
            catch
            {
                await server.DisposeAsync();
                throw;
            }
        }
    }
}
