using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Models;

/// <summary>
/// What runs in a VM: writes record n to the first disk, then to the next, and so on, each only after the one before has
/// completed; in between it overwrites, discards and zeroes blocks. From the content alone <see cref="Verify"/> can say
/// whether a restored VM is a prefix of what the guest did: no disk is ahead of the one before it, no record is missing.
/// </summary>
internal sealed class ModelGuest(ModelVm vm, SimRandom random)
{
    private const int RecordBytes = 512;

    /// <summary>The records are in the first block of each disk, the last ones only.</summary>
    private const int Slots = BlockSize.Bytes / RecordBytes;

    private static readonly byte[] Noise = MakeNoise();

    private readonly byte[] _data = new byte[BlockSize.Bytes];
    private readonly ModelVm _vm = vm;
    private readonly SimRandom _random = random;
    private readonly double _idleness = random.NextFraction();
    private readonly double _discards = random.Chance(0.5) ? 0.15 : 0;
    private readonly TimeSpan _pause = random.Between(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(20));
    private ulong _next = 1;

    /// <summary>Set to let the guest finish its record and write nothing more.</summary>
    public bool IsQuiet { get; set; }

    public long Writes { get; private set; }

    /// <summary>The guest after a start of its VM; it goes on behind the last record that all disks hold.</summary>
    public async Task RunAsync(SimProcess qemu)
    {
        _next = _vm.Disks.Min(LastRecord) + 1;
        while (true)
        {
            await qemu.TakeTimeAsync(_pause * (0.1 + _random.NextFraction()));
            if (IsQuiet || _random.Chance(_idleness * 0.5))
            {
                continue;
            }

            for (int burst = _random.Between(1, 4); burst > 0; burst--)
            {
                await WriteRecord(qemu);
                await WriteBulk(qemu);
            }
        }
    }

    /// <summary>A sector in every block, at once: what a test of partial blocks needs.</summary>
    public void TouchEveryBlock()
    {
        byte[] sector = new byte[RecordBytes];
        for (int disk = 0; disk < _vm.Disks.Count; disk++)
        {
            for (int block = 1; block < _vm.Disks[disk].BlockCount; block++)
            {
                sector.AsSpan().Fill((byte)(1 + _random.Next(255)));
                _vm.Write(disk, (long)block * BlockSize.Bytes, sector);
            }
        }
    }

    /// <summary>Null when the disks are a prefix of what a guest wrote; otherwise what is wrong with them.</summary>
    public static string? Verify(IReadOnlyList<DiskImage> disks)
    {
        ulong limit = ulong.MaxValue;
        for (int disk = 0; disk < disks.Count; disk++)
        {
            ulong last = LastRecord(disks[disk]);
            if (last > limit)
            {
                return $"disk {disk} holds record {last}, the disk before it only {limit}";
            }

            for (ulong n = last; n > 0 && n + Slots > last; n--)
            {
                if (ReadRecord(disks[disk], n) != n)
                {
                    return $"disk {disk} holds record {last} but not {n}";
                }
            }

            limit = last;
        }

        return null;
    }

    private async Task WriteRecord(SimProcess qemu)
    {
        byte[] record = new byte[RecordBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(record, _next);
        record.AsSpan(8).Fill((byte)_next);
        for (int disk = 0; disk < _vm.Disks.Count; disk++)
        {
            await qemu.TakeTimeAsync(_random.Between(TimeSpan.FromMicroseconds(50), TimeSpan.FromMilliseconds(5)));
            _vm.Write(disk, (long)(_next % Slots) * RecordBytes, record);
            Count(disk, (long)_next);
        }

        _next++;
    }

    private async Task WriteBulk(SimProcess qemu)
    {
        for (int i = _random.Next(4); i > 0; i--)
        {
            await qemu.TakeTimeAsync(_random.Between(TimeSpan.FromMicroseconds(50), TimeSpan.FromMilliseconds(5)));
            int disk = _random.Next(_vm.Disks.Count);
            DiskImage image = _vm.Disks[disk];
            int block = 1 + _random.Next(image.BlockCount - 1);
            if (_random.Chance(_discards))
            {
                _vm.Discard(disk, block);
            }
            else
            {
                WriteInto(disk, block, image.Block(block).Length);
            }

            Count(disk, block);
        }
    }

    private void WriteInto(int disk, int block, int blockBytes)
    {
        bool whole = _random.Chance(0.5);
        int sectors = blockBytes / RecordBytes;
        int first = whole ? 0 : _random.Next(sectors);
        int length = (whole ? sectors : _random.Between(1, sectors - first)) * RecordBytes;
        Span<byte> data = _data.AsSpan(0, length);
        switch (_random.Next(3))
        {
            case 0: // Noise: stays raw. Another piece of it each time, so that no write repeats the one before.
                Noise.AsSpan(_random.Next(Noise.Length - length), length).CopyTo(data);
                break;
            case 1: // Compresses well.
                data.Fill((byte)(1 + _random.Next(255)));
                break;
            default: // Zeros that were written.
                data.Clear();
                break;
        }

        _vm.Write(disk, ((long)block * BlockSize.Bytes) + ((long)first * RecordBytes), data);
    }

    private static byte[] MakeNoise()
    {
        var random = new SimRandom(1);
        byte[] noise = new byte[8 * BlockSize.Bytes];
        for (int i = 0; i < noise.Length; i += 8)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(noise.AsSpan(i), random.NextULong());
        }

        return noise;
    }

    private static ulong LastRecord(DiskImage disk)
    {
        ulong last = 0;
        for (ulong slot = 0; slot < Slots; slot++)
        {
            last = Math.Max(last, ReadRecord(disk, slot));
        }

        return last;
    }

    private static ulong ReadRecord(DiskImage disk, ulong n) =>
        BinaryPrimitives.ReadUInt64LittleEndian(disk.Block(0)[(int)(n % Slots * RecordBytes)..]);

    private void Count(int disk, long what)
    {
        Writes++;
        Simulator simulator = _vm.Host.Simulator;
        simulator.Trace.Event(simulator.NowTicks, _vm.Name, "guest writes", "", disk, what);
    }
}
