using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;
using Understudy.Testing;

namespace Understudy.Journal.Tests.Rig;

/// <summary>Small settings, ids and comparisons that the tests share.</summary>
internal static class TestRig
{
    public static readonly ReplicaId Replica = new(Guid.Parse("0f2b7f5e-8a0d-4c7e-9d8b-1c2d3e4f5a6b"));
    public static readonly VmId Vm = new(Guid.Parse("7c9e6679-7425-40de-944b-e07fc1f90ae7"));
    public static readonly LineId Line1 = new(1, 0x1111);
    public static readonly DateTimeOffset Start = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

    /// <summary>Many segments, several batches and small regions on disks of a few blocks.</summary>
    public static ReplicaSettings Small { get; } = new()
    {
        Segments = new SegmentSettings { TargetBytes = 48 * 1024, MaxRecords = 24, BatchBytes = 8 * 1024 },
        ApplyBatchBlocks = 2,
        RegionBytes = 2 * 64 * 1024,
        ViewExtents = 40,
        ViewCacheBytes = 3 * 64 * 1024,
        OpenSegments = 2,
    };

    public static ReplicaEnvironment Environment(CrashDisk disk, ReplicaSettings? settings = null, TimeProvider? time = null, IIdSource? ids = null) => new(
        disk, disk, time ?? new FixedTime(), ids ?? new SeededIdSource(7), settings ?? Small, NullLogger.Instance);

    public static NewReplica Spec { get; } = new(Replica, Vm, Line1, "test");

    public static DiskGeometry Disk(ushort number, long size) => new(new DiskId(number), $"vd{(char)('a' + number)}", size, DiskFormat.Qcow2);

    public static async Task AppendAsync(this Replica replica, params byte[][] records)
    {
        foreach (byte[] record in records)
        {
            Assert.IsType<AppendOutcome.Accepted>(await replica.AppendAsync(record, default));
        }
    }

    /// <summary>Reads a point whole, in pieces of changing sizes, and compares it with what it was.</summary>
    public static async Task AssertHoldsAsync(this Replica replica, RecoveryPointId point, Snapshot expected)
    {
        PointContents contents = await replica.GetPointAsync(point, default);
        GeometryBody ofPoint = expected.Geometry.OfPoint;
        Assert.Equal(ofPoint.Disks, contents.Geometry.Disks);
        Assert.Equal(expected.Definition, contents.DefinitionXml);
        foreach ((DiskId disk, byte[] content) in expected.Disks)
        {
            if (ofPoint.Find(disk) is not null)
            {
                await using ReplicaView view = await replica.OpenViewAsync(point, disk, default);
                await view.AssertReadsAsync(content);
            }
        }
    }

    public static async Task AssertReadsAsync(this ReplicaView view, byte[] expected)
    {
        Assert.Equal(expected.Length, view.SizeBytes);
        byte[] actual = new byte[expected.Length];
        int at = 0;
        for (int size = 4096; at < actual.Length; size = (size * 3) + 512)
        {
            int length = Math.Min(size, actual.Length - at);
            await view.ReadAsync(at, actual.AsMemory(at, length), default);
            at += length;
        }

        int differs = actual.AsSpan().CommonPrefixLength(expected);
        Assert.True(differs == expected.Length, $"view of {view.Point.Id}, disk {view.Disk.Disk}, differs at {differs}");
    }
}

/// <summary>A clock that stands still until it is moved.</summary>
internal sealed class FixedTime : TimeProvider
{
    public DateTimeOffset Now { get; set; } = TestRig.Start;

    public override DateTimeOffset GetUtcNow() => Now;

    public override long GetTimestamp() => Now.Ticks;
}
