using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Simulation.Models;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Machines;

/// <summary>One agent process's image tool. Names of images are durable at once, as the real tool makes them.</summary>
internal sealed class ModelImageTool(ModelMachine machine, SimProcess agent) : IImageTool
{
    private readonly ModelMachine _machine = machine;
    private readonly SimProcess _agent = agent;

    public async ValueTask CreateAsync(string path, string format, long sizeBytes, CancellationToken cancellationToken)
    {
        await TakeTimeAsync(cancellationToken);
        Add(new ModelImage(path, format, sizeBytes, null) { IsOnDisk = true });
    }

    public async ValueTask GrowAsync(string path, string format, long sizeBytes, CancellationToken cancellationToken)
    {
        await TakeTimeAsync(cancellationToken);
        ModelImage image = _machine.Image(path);
        _machine.RequireLock(path, forWriting: true, this);
        image.Grow(sizeBytes);
        _machine.Host.Disk.Resize(image.DiskFile, sizeBytes);
    }

    public async ValueTask CreateOverlayAsync(string path, ImageBacking backing, OverlayShape? shape, CancellationToken cancellationToken)
    {
        await TakeTimeAsync(cancellationToken);
        if (backing is ImageBacking.Nbd server)
        {
            DiskImage? expected = _machine.ExpectedOf(server);
            long size = shape?.SizeBytes ?? expected?.SizeBytes ?? throw new ImageToolException(FaultClass.Transient, $"nothing answers at {server.SocketPath} (simulated)");
            Add(new ModelImage(path, "qcow2", size, backing) { Expected = expected?.Snapshot() });
            return;
        }

        ModelImage below = _machine.Image(((ImageBacking.File)backing).Path);
        Add(new ModelImage(path, "qcow2", below.SizeBytes, backing) { Expected = below.Expected?.Snapshot() });
    }

    public async ValueTask AddBitmapAsync(string path, string bitmap, CancellationToken cancellationToken)
    {
        await TakeTimeAsync(cancellationToken);
        _machine.Image(path).Bitmaps.TryAdd(bitmap, true);
    }

    public async ValueTask RemoveBitmapAsync(string path, string bitmap, CancellationToken cancellationToken)
    {
        await TakeTimeAsync(cancellationToken);
        _machine.Images.GetValueOrDefault(path)?.Bitmaps.Remove(bitmap);
    }

    public async ValueTask<ImageFacts?> FindAsync(string path, CancellationToken cancellationToken)
    {
        await TakeTimeAsync(cancellationToken);
        return _machine.Images.TryGetValue(path, out ModelImage? image)
            ? new ImageFacts(image.Format, image.SizeBytes, image.AllocatedBytes, (image.Backing as ImageBacking.File)?.Path, [.. image.Bitmaps.Select(b => new ImageBitmap(b.Key, true, b.Value))])
            : null;
    }

    /// <summary>What comes out is compared with what must: an export is read by people only, and too late.</summary>
    public async ValueTask ConvertFromNbdAsync(string socketPath, string exportName, string path, string format, CancellationToken cancellationToken)
    {
        await TakeTimeAsync(cancellationToken);
        DiskImage? expected = _machine.ExpectedOf(new ImageBacking.Nbd(socketPath, exportName));
        var node = new NbdNode(_machine, _agent, socketPath, exportName, TimeSpan.Zero);
        try
        {
            await node.ConnectAsync();
            ModelImage made = new(path, format, node.SizeBytes, null);
            byte[] block = new byte[BlockSize.Bytes];
            for (long at = 0; at < made.SizeBytes; at += BlockSize.Bytes)
            {
                cancellationToken.ThrowIfCancellationRequested();
                Memory<byte> part = block.AsMemory(0, (int)Math.Min(BlockSize.Bytes, made.SizeBytes - at));
                await node.ReadAsync(at, part);
                made.Layer.Write(at, part.Span);
                if (expected is not null && !part.Span.SequenceEqual(expected.Block((int)(at / BlockSize.Bytes))))
                {
                    _machine.Context.Violations.Report("export", $"{exportName} gave out a wrong block {at / BlockSize.Bytes}");
                }
            }

            made.Expected = made.Layer.Snapshot();
            Add(made);
        }
        catch (StorageException fault)
        {
            throw new ImageToolException(FaultClass.Transient, $"{path} could not be written: {fault.Message}", inner: fault);
        }
        finally
        {
            await node.CloseAsync();
        }
    }

    public async ValueTask ConvertFromFileAsync(string source, string sourceFormat, string path, string format, CancellationToken cancellationToken)
    {
        await TakeTimeAsync(cancellationToken);
        ModelImage from = _machine.Image(source);
        var chain = new ImageChain(_machine, _agent);
        try
        {
            await chain.OpenAsync(from, forWriting: false, this);
            ModelImage made = new(path, format, from.SizeBytes, null);
            for (int block = 0; block < from.Layer.BlockCount; block++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                byte[] content = await chain.ReadAsync(from, block);
                made.Layer.Write((long)block * BlockSize.Bytes, content.AsSpan(0, made.Layer.Block(block).Length));
                chain.Compare(from, block, content, $"an export of {source}");
            }

            made.Expected = made.Layer.Snapshot();
            Add(made);
        }
        catch (StorageException fault)
        {
            throw new ImageToolException(FaultClass.Transient, $"{path} could not be written: {fault.Message}", inner: fault);
        }
        finally
        {
            await chain.CloseAsync();
        }
    }

    public ValueTask<string> FollowAsync(string path, CancellationToken cancellationToken) => new(path); // A model host has no links.

    public async ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        await TakeTimeAsync(cancellationToken);
        if (_machine.Domains.Find(domain => domain.Stands(path)) is { } user)
        {
            _machine.Context.Violations.Report("lost disk", $"{path} is deleted at {_machine.Host.Name}, and VM {user.Name} stands on it");
        }

        if (_machine.Images.Remove(path, out ModelImage? image) && image.IsOnDisk)
        {
            _machine.Host.Disk.Remove(image.DiskFile);
        }
    }

    public async ValueTask<IReadOnlyList<string>> ListAsync(string folder, CancellationToken cancellationToken)
    {
        await TakeTimeAsync(cancellationToken);
        return [.. _machine.Images.Keys.Where(path => path.StartsWith(folder + "/", StringComparison.Ordinal))];
    }

    public ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken) => TakeTimeAsync(cancellationToken);

    public ValueTask DeleteFolderIfEmptyAsync(string folder, CancellationToken cancellationToken) => TakeTimeAsync(cancellationToken);

    public async ValueTask<long> GetFreeBytesAsync(string folder, CancellationToken cancellationToken)
    {
        await TakeTimeAsync(cancellationToken);
        return long.MaxValue;
    }

    private ValueTask TakeTimeAsync(CancellationToken cancellationToken) => _machine.TakeTimeAsync(_agent, cancellationToken);

    private void Add(ModelImage image)
    {
        if (!_machine.Images.TryAdd(image.Path, image))
        {
            throw new ImageToolException(FaultClass.NeedsOperator, $"{image.Path} is there already (simulated)");
        }

        _machine.Trace("image made", image.Path);
    }
}
