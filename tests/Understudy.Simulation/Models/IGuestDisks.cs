namespace Understudy.Simulation.Models;

/// <summary>The disks of a VM as its guest sees them. A call returns when the disk has done it; while the VM is paused
/// none returns.</summary>
internal interface IGuestDisks
{
    string VmName { get; }

    int Count { get; }

    long SizeOf(int disk);

    ValueTask ReadAsync(int disk, long offset, Memory<byte> buffer);

    ValueTask WriteAsync(int disk, long offset, ReadOnlyMemory<byte> data);

    ValueTask DiscardAsync(int disk, int block);
}

/// <summary>A VM's own images, with nothing in between.</summary>
internal sealed class OwnDisks(ModelVm vm) : IGuestDisks
{
    private readonly ModelVm _vm = vm;

    public string VmName => _vm.Name;

    public int Count => _vm.Disks.Count;

    public long SizeOf(int disk) => _vm.Disks[disk].SizeBytes;

    public ValueTask ReadAsync(int disk, long offset, Memory<byte> buffer)
    {
        _vm.Disks[disk].Read(offset, buffer.Span);
        return default;
    }

    public ValueTask WriteAsync(int disk, long offset, ReadOnlyMemory<byte> data)
    {
        _vm.Write(disk, offset, data.Span);
        return default;
    }

    public ValueTask DiscardAsync(int disk, int block)
    {
        _vm.Discard(disk, block);
        return default;
    }
}
