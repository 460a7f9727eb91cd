using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Machines;

/// <summary>An image with all that it stands on, opened by some process: layers, and connections to what is served.</summary>
internal sealed class ImageChain(ModelMachine machine, SimProcess process)
{
    private readonly ModelMachine _machine = machine;
    private readonly SimProcess _process = process;

    /// <summary>By the image whose backing it is.</summary>
    private readonly Dictionary<string, NbdNode> _nodes = new(StringComparer.Ordinal);

    /// <summary>Takes the locks and makes the connections.</summary>
    /// <param name="holder">Who has them then.</param>
    /// <exception cref="StorageException">Something is locked, or does not answer.</exception>
    public async Task OpenAsync(ModelImage top, bool forWriting, object holder)
    {
        _machine.RequireLock(top.Path, forWriting, holder);
        for (ModelImage image = top; ;)
        {
            switch (image.Backing)
            {
                case ImageBacking.File file:
                    _machine.RequireLock(file.Path, forWriting: false, holder);
                    image = _machine.Image(file.Path);
                    break;
                case ImageBacking.Nbd server:
                    NbdNode node = new(_machine, _process, server.SocketPath, server.ExportName, TimeSpan.Zero);
                    await node.ConnectAsync();
                    await node.ReadAsync(0, new byte[512]);
                    _nodes[image.Path] = node;
                    return;
                default:
                    return;
            }
        }
    }

    public async Task CloseAsync()
    {
        foreach (NbdNode node in _nodes.Values)
        {
            await node.CloseAsync();
        }
    }

    /// <summary>Another connection for what an image stands on.</summary>
    public void Replace(ModelImage image, NbdNode node) => _nodes[image.Path] = node;

    /// <summary>A block as a reader of <paramref name="image"/> sees it; the last one is padded.</summary>
    public async ValueTask<byte[]> ReadAsync(ModelImage image, int block)
    {
        byte[] content = new byte[BlockSize.Bytes];
        long start = (long)block * BlockSize.Bytes;
        while (block >= image.Layer.BlockCount || image.Layer.IsHole(block))
        {
            switch (image.Backing)
            {
                case ImageBacking.File file when start < _machine.Image(file.Path).SizeBytes:
                    image = _machine.Image(file.Path);
                    continue;
                case ImageBacking.Nbd when start < _nodes[image.Path].SizeBytes:
                    NbdNode node = _nodes[image.Path];
                    await node.ReadAsync(start, content.AsMemory(0, (int)Math.Min(BlockSize.Bytes, node.SizeBytes - start)));
                    return content;
                case null when image is { IsOnDisk: true, IsAdopted: false }:
                    IBlockDevice device = _machine.OpenImage(image.Path, _process, readOnly: true);
                    await device.ReadAsync(start, content.AsMemory(0, (int)Math.Min(BlockSize.Bytes, device.SizeBytes - start)), default);
                    return content;
                default:
                    return content;
            }
        }

        image.Layer.Block(block).CopyTo(content);
        return content;
    }

    /// <summary>What was read must be what was written there, and nothing else.</summary>
    public void Compare(ModelImage image, int block, byte[] content, string reader)
    {
        if (image.Expected is not { } expected)
        {
            return;
        }

        ReadOnlySpan<byte> wanted = expected.Block(block);
        if (!content.AsSpan(0, wanted.Length).SequenceEqual(wanted))
        {
            _machine.Context.Violations.Report("guest", $"{reader} reads a wrong block {block} of {image.Path}");
        }
    }
}
