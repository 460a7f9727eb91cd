using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Simulation.Models;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Machines;

/// <summary>The guest's I/O. Every block that is read is compared with what it must be.</summary>
internal sealed partial class ModelQemu
{
    public async ValueTask ReadAsync(int disk, long offset, Memory<byte> buffer)
    {
        while (true)
        {
            await RunningAsync();
            if (_domain.Tracked is { } vm)
            {
                vm.Disks[disk].Read(offset, buffer.Span);
                return;
            }

            if (disk >= Disks.Count)
            {
                return; // It was pulled.
            }

            QemuDisk from = Disks[disk];
            try
            {
                byte[] block = await ReadBlockAsync(from, (int)(offset / BlockSize.Bytes));
                block.AsSpan((int)(offset % BlockSize.Bytes), buffer.Length).CopyTo(buffer.Span);
                return;
            }
            catch (StorageException) when (from.Alias is not null)
            {
                return;
            }
            catch (StorageException)
            {
                SetState(VmRunState.PausedIoError);
            }
        }
    }

    public async ValueTask WriteAsync(int disk, long offset, ReadOnlyMemory<byte> data)
    {
        while (true)
        {
            await RunningAsync();
            if (_domain.Tracked is { } vm)
            {
                vm.Write(disk, offset, data.Span);
                return;
            }

            try
            {
                if (await TryWriteAsync(Disks[disk], offset, data))
                {
                    return;
                }
            }
            catch (StorageException)
            {
                SetState(VmRunState.PausedIoError);
            }
        }
    }

    public async ValueTask DiscardAsync(int disk, int block)
    {
        if (_domain.Tracked is { } vm)
        {
            await RunningAsync();
            vm.Discard(disk, block);
            return;
        }

        // An overlay must hide what is below it: what is given back reads as zeros.
        long size = Disks[disk].Active.SizeBytes;
        long start = (long)block * BlockSize.Bytes;
        await WriteAsync(disk, start, new byte[Math.Min(BlockSize.Bytes, size - start)]);
    }

    private async Task ReadAllAsync()
    {
        for (int disk = 0; disk < Disks.Count; disk++)
        {
            for (long at = 0; at < Disks[disk].Active.SizeBytes; at += BlockSize.Bytes)
            {
                await ReadAsync(disk, at, new byte[Math.Min(BlockSize.Bytes, Disks[disk].Active.SizeBytes - at)]);
            }
        }
    }

    /// <summary>False when the world has changed while a block was copied up: it is done again.</summary>
    private async ValueTask<bool> TryWriteAsync(QemuDisk disk, long offset, ReadOnlyMemory<byte> data)
    {
        ModelImage image = disk.Active;
        int block = (int)(offset / BlockSize.Bytes);
        byte[]? below = null;
        if (image.Layer.IsHole(block) && data.Length < image.Layer.Block(block).Length)
        {
            below = await ReadBlockAsync(disk, block);
        }

        if (disk.Active != image || State is not (VmRunState.Running or VmRunState.ShuttingDown) || (below is not null && !image.Layer.IsHole(block)))
        {
            return false;
        }

        if (below is not null)
        {
            image.Layer.Write((long)block * BlockSize.Bytes, below.AsSpan(0, image.Layer.Block(block).Length));
        }

        image.Layer.Write(offset, data.Span);
        image.Expected?.Write(offset, data.Span);
        return true;
    }

    private async ValueTask<byte[]> ReadBlockAsync(QemuDisk disk, int block)
    {
        ModelImage top = disk.Active;
        byte[] content = await disk.Chain.ReadAsync(top, block);
        if (disk.Active == top)
        {
            disk.Chain.Compare(top, block, content, $"{_domain.Name} at {_machine.Host.Name}");
        }

        return content;
    }

    /// <summary>Locks and connections, as QEMU takes them before a VM runs.</summary>
    private async Task OpenDisksAsync(SimProcess self)
    {
        foreach (QemuDisk disk in Disks)
        {
            disk.Chain = new ImageChain(_machine, self);
            await disk.Chain.OpenAsync(disk.Active, forWriting: true, this);
        }
    }

    /// <summary>The whole content as a commit leaves it: this layer, and below it the base as it is on disk.</summary>
    private DiskImage Flatten(ModelImage top, ModelImage below)
    {
        byte[] file = below is { IsOnDisk: true, IsAdopted: false } ? _machine.Host.Disk.ReadFile(below.DiskFile) ?? [] : [];
        var content = new DiskImage(top.SizeBytes);
        byte[] block = new byte[BlockSize.Bytes];
        for (int i = 0; i < content.BlockCount; i++)
        {
            int length = content.Block(i).Length;
            block.AsSpan().Clear();
            if (!top.Layer.IsHole(i) || file.Length == 0)
            {
                (top.Layer.IsHole(i) && i < below.Layer.BlockCount ? below.Layer.Block(i) : top.Layer.Block(i)).CopyTo(block);
            }
            else
            {
                int start = i * BlockSize.Bytes;
                file.AsSpan(Math.Min(file.Length, start), Math.Clamp(file.Length - start, 0, length)).CopyTo(block);
            }

            content.Write((long)i * BlockSize.Bytes, block.AsSpan(0, length));
            if (top.Expected is { } expected && !content.Block(i).SequenceEqual(expected.Block(i)))
            {
                _machine.Context.Violations.Report("commit", $"block {i} of {top.Path} over {below.Path} is not what the guest has");
                break;
            }
        }

        return content;
    }
}
