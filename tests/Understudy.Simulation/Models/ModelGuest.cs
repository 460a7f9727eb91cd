using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Models;

/// <summary>
/// What runs in a VM: writes record n to the first disk, then to the next, and so on, each only after the one before has
/// completed; in between it overwrites, discards and zeroes blocks. From the content alone <see cref="Verify"/> can say
/// whether a restored VM is a prefix of what the guest did: no disk is ahead of the one before it, no record is missing.
/// </summary>
/// <param name="run">Told apart in every record: two copies of a VM that went on from one point write different things.</param>
internal sealed class ModelGuest(IGuestDisks disks, SimRandom random, ulong run = 0)
{
    private const int RecordBytes = 512;

    /// <summary>The records are in the first block of each disk, the last ones only.</summary>
    private const int Slots = BlockSize.Bytes / RecordBytes;

    private static readonly byte[] Noise = MakeNoise();

    private readonly byte[] _data = new byte[BlockSize.Bytes];
    private readonly IGuestDisks _disks = disks;
    private readonly SimRandom _random = random;
    private readonly ulong _run = run;
    private readonly double _idleness = random.NextFraction();
    private readonly double _discards = random.Chance(0.5) ? 0.15 : 0;
    private readonly TimeSpan _pause = random.Between(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(20));
    private ulong _next = 1;

    /// <summary>Set to let the guest finish its record and write nothing more.</summary>
    public bool IsQuiet { get; set; }

    /// <summary>Set to shut the guest down in order: it ends what it is at, and <see cref="RunAsync"/> returns.</summary>
    public bool IsStopping { get; set; }

    /// <summary>Reads blocks as well, for disks that know what must be in them.</summary>
    public bool Reads { get; init; }

    public long Writes { get; private set; }

    /// <summary>The guest after a start of its VM; it goes on behind the last record that all disks hold.</summary>
    public async Task RunAsync(SimProcess qemu)
    {
        _next = await FindLastRecordAsync() + 1;
        while (!IsStopping)
        {
            await qemu.TakeTimeAsync(_pause * (0.1 + _random.NextFraction()));
            if (Reads && _disks.Count > 0 && _random.Chance(0.3))
            {
                await ReadSomethingAsync();
            }

            if (IsQuiet || _random.Chance(_idleness * 0.5))
            {
                continue;
            }

            for (int burst = _random.Between(1, 4); burst > 0 && !IsStopping; burst--)
            {
                await WriteRecord(qemu);
                await WriteBulk(qemu);
            }
        }
    }

    /// <summary>A sector in every block, at once: what a test of partial blocks needs.</summary>
    public async Task TouchEveryBlockAsync()
    {
        byte[] sector = new byte[RecordBytes];
        for (int disk = 0; disk < _disks.Count; disk++)
        {
            for (int block = 1; block < BlocksOf(disk); block++)
            {
                sector.AsSpan().Fill((byte)(1 + _random.Next(255)));
                await _disks.WriteAsync(disk, (long)block * BlockSize.Bytes, sector);
            }
        }
    }

    /// <summary>Null when the disks are a prefix of what a guest wrote; otherwise what is wrong with them.</summary>
    public static string? Verify(IReadOnlyList<DiskImage> disks)
    {
        ulong limit = ulong.MaxValue;
        for (int disk = 0; disk < disks.Count; disk++)
        {
            ulong last = LastRecord(disks[disk].Block(0));
            if (last > limit)
            {
                return $"disk {disk} holds record {last}, the disk before it only {limit}";
            }

            for (ulong n = last; n > 0 && n + Slots > last; n--)
            {
                if (ReadRecord(disks[disk].Block(0), n) != n)
                {
                    return $"disk {disk} holds record {last} but not {n}";
                }
            }

            limit = last;
        }

        return null;
    }

    private async Task<ulong> FindLastRecordAsync()
    {
        ulong found = ulong.MaxValue;
        for (int disk = 0; disk < _disks.Count; disk++)
        {
            byte[] first = new byte[BlockBytes(disk, 0)];
            await _disks.ReadAsync(disk, 0, first);
            found = Math.Min(found, LastRecord(first));
        }

        return found;
    }

    private async Task ReadSomethingAsync()
    {
        int disk = _random.Next(_disks.Count);
        int block = _random.Next(BlocksOf(disk));
        await _disks.ReadAsync(disk, (long)block * BlockSize.Bytes, new byte[BlockBytes(disk, block)]);
    }

    private async Task WriteRecord(SimProcess qemu)
    {
        byte[] record = new byte[RecordBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(record, _next);
        record.AsSpan(8).Fill((byte)_next);
        if (_run != 0)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), _run);
        }

        for (int disk = 0; disk < _disks.Count; disk++)
        {
            await qemu.TakeTimeAsync(_random.Between(TimeSpan.FromMicroseconds(50), TimeSpan.FromMilliseconds(5)));
            await _disks.WriteAsync(disk, (long)(_next % Slots) * RecordBytes, record);
            Count(qemu, disk, (long)_next);
        }

        _next++;
    }

    private async Task WriteBulk(SimProcess qemu)
    {
        for (int i = _random.Next(4); i > 0; i--)
        {
            await qemu.TakeTimeAsync(_random.Between(TimeSpan.FromMicroseconds(50), TimeSpan.FromMilliseconds(5)));
            int disk = _random.Next(_disks.Count);
            int block = 1 + _random.Next(BlocksOf(disk) - 1);
            if (_random.Chance(_discards))
            {
                await _disks.DiscardAsync(disk, block);
            }
            else
            {
                await WriteInto(disk, block);
            }

            Count(qemu, disk, block);
        }
    }

    private ValueTask WriteInto(int disk, int block)
    {
        bool whole = _random.Chance(0.5);
        int sectors = BlockBytes(disk, block) / RecordBytes;
        int first = whole ? 0 : _random.Next(sectors);
        int length = (whole ? sectors : _random.Between(1, sectors - first)) * RecordBytes;
        Memory<byte> data = _data.AsMemory(0, length);
        switch (_random.Next(3))
        {
            case 0: // Noise: stays raw. Another piece of it each time, so that no write repeats the one before.
                Noise.AsSpan(_random.Next(Noise.Length - length), length).CopyTo(data.Span);
                break;
            case 1: // Compresses well.
                data.Span.Fill((byte)(1 + _random.Next(255)));
                break;
            default: // Zeros that were written.
                data.Span.Clear();
                break;
        }

        return _disks.WriteAsync(disk, ((long)block * BlockSize.Bytes) + ((long)first * RecordBytes), data);
    }

    private int BlocksOf(int disk) => (int)BlockSize.CountFor(_disks.SizeOf(disk));

    private int BlockBytes(int disk, int block) => (int)Math.Min(BlockSize.Bytes, _disks.SizeOf(disk) - ((long)block * BlockSize.Bytes));

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

    private static ulong LastRecord(ReadOnlySpan<byte> firstBlock)
    {
        ulong last = 0;
        for (ulong slot = 0; slot < Slots; slot++)
        {
            last = Math.Max(last, ReadRecord(firstBlock, slot));
        }

        return last;
    }

    private static ulong ReadRecord(ReadOnlySpan<byte> firstBlock, ulong n) =>
        BinaryPrimitives.ReadUInt64LittleEndian(firstBlock[(int)(n % Slots * RecordBytes)..]);

    private void Count(SimProcess qemu, int disk, long what)
    {
        Writes++;
        qemu.Simulator.Trace.Event(qemu.Simulator.NowTicks, _disks.VmName, "guest writes", "", disk, what);
    }
}
