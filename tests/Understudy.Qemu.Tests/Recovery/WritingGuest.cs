using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>A guest that never stops writing, through the front ends of both disks, and remembers what it was told is
/// written.</summary>
internal sealed class WritingGuest(RecoverySite site, VmId vm, byte[][] begin)
{
    private readonly byte[][] _disks = [.. begin.Select(disk => (byte[])disk.Clone())];
    private readonly Random _random = new(4711);

    public IReadOnlyList<byte[]> Disks => _disks;

    public int Writes { get; private set; }

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            int disk = _random.Next(2);
            int diskBytes = _disks[disk].Length;
            int offset = _random.Next(diskBytes / 512) * 512;
            int length = Math.Min(_random.Next(1, 200) * 512, diskBytes - offset);
            byte pattern = (byte)_random.Next(1, 256);
            string said = await site.GuestIoAsync(vm, disk, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"write -P {pattern} {offset} {length}"));
            Assert.Equal("\"\"", said);
            _disks[disk].AsSpan(offset, length).Fill(pattern);
            Writes++;
            Assert.Equal(VmRunState.Running, await site.Hypervisor.GetRunStateAsync(vm, CancellationToken.None));
        }
    }
}
