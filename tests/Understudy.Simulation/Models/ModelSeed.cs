using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Models;

/// <summary>
/// What somebody has brought to the target for a VM's first copy: some blocks as the source has them just now, some old or
/// anybody's, some empty, of any length; another one each time it is opened, damaged in places, and at times out of reach. What
/// a host remembers of it outlives its processes.
/// </summary>
internal sealed class ModelSeed(ModelVm vm, SimRandom random)
{
    private const int MostFaults = 3;

    private readonly Dictionary<DiskId, long> _reached = [];
    private readonly Dictionary<DiskId, int> _faults = [];

    /// <summary>After some faults it is gone on without.</summary>
    public void Failed(DiskId disk) => _faults[disk] = _faults.GetValueOrDefault(disk) + 1;

    public ISeed For(SimProcess process) => new Reader(this, process);

    private byte[] Content(DiskGeometry disk)
    {
        byte[] content = new byte[random.Between(0, (int)disk.SizeBytes + BlockSize.Bytes)];
        int index = vm.Targets.ToList().IndexOf(disk.Target);
        byte[] block = new byte[BlockSize.Bytes];
        for (int at = 0; at < content.Length; at += BlockSize.Bytes)
        {
            int there = Math.Min(BlockSize.Bytes, content.Length - at);
            if (random.Chance(0.5) && at < vm.Disks[index].SizeBytes)
            {
                Array.Clear(block);
                vm.Disks[index].Read(at, block.AsSpan(0, (int)Math.Min(there, vm.Disks[index].SizeBytes - at)));
                block.AsSpan(0, there).CopyTo(content.AsSpan(at));
            }
            else if (random.Chance(0.6))
            {
                content.AsSpan(at, there).Fill((byte)random.Between(1, 255));
            }
        }

        return content;
    }

    private sealed class Reader(ModelSeed seed, SimProcess process) : ISeed
    {
        public ValueTask BeginAsync(IReadOnlyList<DiskGeometry> disks) => default;

        public long ReachedOf(DiskGeometry disk) => seed._reached.GetValueOrDefault(disk.Disk);

        public async ValueTask<IBlockDevice?> OpenAsync(DiskGeometry disk, CancellationToken cancellationToken)
        {
            await process.TakeTimeAsync(TimeSpan.FromMilliseconds(seed.RandomMilliseconds()));
            return seed._faults.GetValueOrDefault(disk.Disk) >= MostFaults ? null : new Medium(seed, process, seed.Content(disk));
        }

        public async ValueTask ReachedAsync(DiskGeometry disk, long bytes, long damagedBytes)
        {
            await process.TakeTimeAsync(TimeSpan.FromMilliseconds(1)); // A process that is killed here has not remembered.
            seed._reached[disk.Disk] = bytes;
        }
    }

    private int RandomMilliseconds() => random.Between(1, 400);

    private sealed class Medium(ModelSeed seed, SimProcess process, byte[] content) : IBlockDevice
    {
        public long SizeBytes => content.Length;

        public bool IsReadOnly => true;

        public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            DeviceRange.Check(SizeBytes, offsetBytes, buffer.Length);
            await process.TakeTimeAsync(TimeSpan.FromMilliseconds(seed.RandomMilliseconds()));
            if (seed.RandomMilliseconds() < 40)
            {
                throw new StorageException(seed.RandomMilliseconds() < 200 ? FaultKind.Corrupt : FaultKind.Io, "seed", "a medium of its age");
            }

            content.AsMemory((int)offsetBytes, buffer.Length).CopyTo(buffer);
        }

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw new InvariantException("a seed is never written");

        public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw new InvariantException("a seed is never written");

        public ValueTask FlushAsync(CancellationToken cancellationToken) => throw new InvariantException("a seed is never written");

        public ValueTask DisposeAsync() => default;
    }
}
