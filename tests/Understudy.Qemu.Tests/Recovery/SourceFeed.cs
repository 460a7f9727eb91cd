using System.Text;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Replication.Receiving;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>A source made of memory: two disks, records as a source would send them, and what each point must hold.</summary>
internal sealed class SourceFeed : IDisposable
{
    public const int BlockBytes = 64 * 1024;

    public static readonly VmId Vm = new(Guid.Parse("6f3ac9aa-0000-4000-8000-000000000001"));
    public static readonly LineId Line = new(1, 0xfeed);
    private static readonly string[] Targets = ["vda", "vdb"];

    private readonly RecordCodec _codec = new();
    private readonly Random _random;
    private readonly byte[] _buffer = new byte[RecordHeader.SizeBytes + (2 * RecordLimits.MaxDataBytes)];
    private readonly int _diskBytes;
    private readonly byte[][] _disks;
    private LineId _line = Line;
    private ulong _sequence;

    public SourceFeed(int seed, int diskBytes)
    {
        _random = new Random(seed);
        _diskBytes = diskBytes;
        _disks = [new byte[diskBytes], new byte[diskBytes]];
    }

    /// <summary>Content of vda and vdb at each point.</summary>
    public Dictionary<RecoveryPointId, byte[][]> Content { get; } = [];

    public static string Definition => $"""
        <domain type='qemu'>
          <name>web1</name>
          <uuid>{Vm}</uuid>
          <memory unit='MiB'>32</memory>
          <vcpu>1</vcpu>
          <os><type arch='x86_64' machine='pc'>hvm</type></os>
          <cpu mode='custom' match='exact'><model fallback='allow'>qemu64</model></cpu>
          <devices>
            <emulator>/nowhere/qemu</emulator>
            <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/nowhere/a.qcow2'/><target dev='vda' bus='virtio'/></disk>
            <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/nowhere/b.qcow2'/><target dev='vdb' bus='virtio'/></disk>
            <interface type='network'><mac address='52:54:00:aa:bb:01'/><source network='office'/><model type='virtio'/></interface>
            <serial type='file'><source path='/nowhere/web1.log'/></serial>
            <memballoon model='none'/>
          </devices>
        </domain>
        """;

    public async Task BeginAsync(IReplicaSink sink)
    {
        GeometryBody geometry = new([.. Targets.Select((target, i) => new DiskGeometry(new DiskId((ushort)i), target, _diskBytes, DiskFormat.Qcow2))]);
        await SendAsync(sink, _codec.EncodeGeometry(_line, ++_sequence, geometry, _buffer));
        await SendAsync(sink, _codec.EncodeDefinition(_line, ++_sequence, Encoding.UTF8.GetBytes(Definition), _buffer));
    }

    /// <summary>Writes some blocks of both disks and makes a point of it.</summary>
    public async Task<RecoveryPointId> PointAsync(IReplicaSink sink, int blocks = 8, TimeSpan age = default)
    {
        for (int i = 0; i < blocks; i++)
        {
            int disk = _random.Next(2);
            int offset = _random.Next(_diskBytes / BlockBytes) * BlockBytes;
            Span<byte> block = _disks[disk].AsSpan(offset, BlockBytes);
            _random.NextBytes(block[..(BlockBytes / 2)]); // Half of it compresses.
            await SendAsync(sink, _codec.EncodeData(_line, ++_sequence, new DiskId((ushort)disk), offset, _disks[disk].AsSpan(offset, BlockBytes), _buffer));
        }

        CheckpointBody checkpoint = new() { Kind = PointKind.Crash, CutAt = DateTimeOffset.UtcNow - age };
        await SendAsync(sink, _codec.EncodeCheckpoint(_line, ++_sequence, checkpoint, _buffer));
        Assert.Equal(_sequence, await sink.FlushAsync(CancellationToken.None));
        RecoveryPointId point = new(_line, _sequence);
        Content[point] = [.. _disks.Select(disk => (byte[])disk.Clone())];
        return point;
    }

    /// <summary>The first cut of a copy that is to be compared: no data, and no point yet. Sent again after a crash it is ignored.</summary>
    public async Task HiddenAsync(IReplicaSink sink)
    {
        CheckpointBody checkpoint = new() { Kind = PointKind.Crash, CutAt = DateTimeOffset.UtcNow, Hidden = true };
        int length = _codec.EncodeCheckpoint(_line, _sequence = sink.ReceivedSequence + 1, checkpoint, _buffer);
        await SendAsync(sink, length);
        Assert.Equal(_sequence, await sink.FlushAsync(CancellationToken.None));
    }

    /// <summary>Compares as a source does, sends each block that differs, zeros too, and makes the point. Returns their number.</summary>
    public async Task<(RecoveryPointId Point, int Sent)> CompareAsync(IReplicaSink sink)
    {
        int sent = 0;
        for (int disk = 0; disk < _disks.Length; disk++)
        {
            byte[] there = new byte[_diskBytes];
            await using (IBlockDevice held = Assert.IsAssignableFrom<IBlockDevice>(await sink.OpenNewestAsync(new DiskId((ushort)disk), CancellationToken.None)))
            {
                await held.ReadAsync(0, there, CancellationToken.None);
            }

            for (int offset = 0; offset < _diskBytes; offset += BlockBytes)
            {
                if (!there.AsSpan(offset, BlockBytes).SequenceEqual(_disks[disk].AsSpan(offset, BlockBytes)))
                {
                    await SendAsync(sink, _codec.EncodeData(_line, ++_sequence, new DiskId((ushort)disk), offset, _disks[disk].AsSpan(offset, BlockBytes), _buffer));
                    sent++;
                }
            }
        }

        return (await PointAsync(sink, blocks: 0), sent);
    }

    /// <summary>What is on a disk now.</summary>
    public Span<byte> Disk(int disk) => _disks[disk];

    /// <summary>The source has its VM back: it goes on under that line from that point.</summary>
    public void GoOn(LineId line, RecoveryPointId parent)
    {
        _line = line;
        _sequence = parent.Sequence;
        for (int i = 0; i < _disks.Length; i++)
        {
            Content[parent][i].CopyTo(_disks[i], 0);
        }
    }

    /// <summary>The target holds everything up to here, whatever of it the source knows to be acknowledged.</summary>
    public void Continue(ulong sequence) => _sequence = sequence;

    public void Dispose() => _codec.Dispose();

    private async Task SendAsync(IReplicaSink sink, int length)
    {
        AppendOutcome outcome = await sink.AppendAsync(_buffer.AsMemory(0, length), CancellationToken.None);
        Assert.IsType<AppendOutcome.Accepted>(outcome);
    }
}
