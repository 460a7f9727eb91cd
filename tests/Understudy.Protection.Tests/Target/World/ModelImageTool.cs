using Understudy.Blocks;
using Understudy.Nbd;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Tests.Target.World;

internal sealed class ModelImageTool(ModelHost host, ILocalSockets sockets) : IImageTool
{
    public ValueTask CreateAsync(string path, string format, long sizeBytes, CancellationToken cancellationToken) =>
        Add(path, new ModelImage(sizeBytes, null));

    public ValueTask GrowAsync(string path, string format, long sizeBytes, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask CreateOverlayAsync(string path, ImageBacking backing, OverlayShape? shape, CancellationToken cancellationToken) => Add(path, new ModelImage(0, backing));

    public ValueTask AddBitmapAsync(string path, string bitmap, CancellationToken cancellationToken)
    {
        host.Image(path).Bitmaps.Add(bitmap);
        return default;
    }

    public ValueTask RemoveBitmapAsync(string path, string bitmap, CancellationToken cancellationToken)
    {
        lock (host.Lock)
        {
            host.Images.GetValueOrDefault(path)?.Bitmaps.Remove(bitmap);
        }

        return default;
    }

    public ValueTask<ImageFacts?> FindAsync(string path, CancellationToken cancellationToken)
    {
        lock (host.Lock)
        {
            return new(host.Images.TryGetValue(path, out ModelImage? image)
                ? new ImageFacts("qcow2", image.SizeBytes, image.Written.Count * (long)ModelImage.BlockBytes, (image.Backing as ImageBacking.File)?.Path, [.. image.Bitmaps.Select(name => new ImageBitmap(name, true, true))])
                : null);
        }
    }

    public async ValueTask ConvertFromNbdAsync(string socketPath, string exportName, string path, string format, CancellationToken cancellationToken)
    {
        Stream stream = await sockets.ConnectAsync(socketPath, cancellationToken);
        await using NbdClient view = await NbdClient.ConnectAsync(stream, new NbdClientOptions { Export = exportName }, cancellationToken);
        byte[] content = new byte[view.SizeBytes];
        await view.ReadAsync(0, content, cancellationToken);
        ModelImage image = new(content.Length, null);
        await image.Disk.WriteAsync(0, content, cancellationToken);
        await Add(path, image);
    }

    public async ValueTask ConvertFromFileAsync(string source, string sourceFormat, string path, string format, CancellationToken cancellationToken)
    {
        byte[] content = await ReadAsync(host.Image(source), cancellationToken);
        ModelImage image = new(content.Length, null);
        await image.Disk.WriteAsync(0, content, cancellationToken);
        await Add(path, image);
    }

    /// <summary>Through the whole chain, as QEMU reads it.</summary>
    private async ValueTask<byte[]> ReadAsync(ModelImage image, CancellationToken cancellationToken)
    {
        byte[] content;
        switch (image.Backing)
        {
            case ImageBacking.Nbd server:
                await using (NbdClient below = await NbdClient.ConnectAsync(
                    await sockets.ConnectAsync(server.SocketPath, cancellationToken), new NbdClientOptions { Export = server.ExportName }, cancellationToken))
                {
                    content = new byte[below.SizeBytes];
                    await below.ReadAsync(0, content, cancellationToken);
                }

                break;
            case ImageBacking.File below:
                content = await ReadAsync(host.Image(below.Path), cancellationToken);
                break;
            default:
                return image.Disk.Content.ToArray();
        }

        foreach ((long block, byte pattern) in image.Written)
        {
            content.AsSpan((int)block * ModelImage.BlockBytes, ModelImage.BlockBytes).Fill(pattern);
        }

        return content;
    }

    public ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        if (host.Failing.Contains(path))
        {
            throw new StorageException(FaultKind.Io, path, "the disk says no");
        }

        lock (host.Lock)
        {
            host.Images.Remove(path);
        }

        return default;
    }

    public ValueTask<IReadOnlyList<string>> ListAsync(string folder, CancellationToken cancellationToken)
    {
        lock (host.Lock)
        {
            return new([.. host.Images.Keys.Where(path => path.StartsWith(folder + "/", StringComparison.Ordinal))]);
        }
    }

    public ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken) => default;

    public ValueTask DeleteFolderIfEmptyAsync(string folder, CancellationToken cancellationToken) => default;

    public ValueTask<long> GetFreeBytesAsync(string folder, CancellationToken cancellationToken) => new(long.MaxValue);

    private ValueTask Add(string path, ModelImage image)
    {
        lock (host.Lock)
        {
            if (!host.Images.TryAdd(path, image))
            {
                throw new StorageException(FaultKind.Exists, path, "a file of that name is there already");
            }
        }

        return default;
    }
}
