using Understudy.Blocks;
using Understudy.Journal;
using Understudy.Journal.Segments;
using Understudy.Protection.Source;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.World;

/// <summary>Sizes and settings that differ from seed to seed, small enough that limits are met all the time.</summary>
internal static class RandomShapes
{
    /// <summary>One to three disks of two to sixteen blocks, the last block not always whole.</summary>
    public static IReadOnlyList<long> Disks(SimRandom random) =>
        [.. Enumerable.Range(0, random.Between(1, 3)).Select(_ =>
            ((long)random.Between(2, 16) * BlockSize.Bytes) - (random.Chance(0.3) ? 512 * random.Between(1, 127) : 0))];

    public static SourcePolicy Policy(SimRandom random) => new()
    {
        Frequency = random.Between(SourcePolicy.ShortestFrequency, TimeSpan.FromSeconds(45)),
        SliceBytes = random.Between(1, 12) * (long)BlockSize.Bytes,
        ScratchBytesLimit = random.Between(30, 100) * (long)BlockSize.Bytes,
    };

    public static ReplicaSettings Settings(SimRandom random, Plant plant) => new()
    {
        Segments = new SegmentSettings
        {
            TargetBytes = random.Between(16, 512) * 1024,
            MaxRecords = random.Between(4, 400),
            BatchBytes = random.Between(1, 128) * 1024,
        },
        ApplyBatchBlocks = random.Between(1, 12),
        RegionBytes = random.Between(1, 16) * (long)BlockSize.Bytes,
        ViewExtents = random.Between(1, 400),
        ViewCacheBytes = random.Between(1, 16) * BlockSize.Bytes,
        OpenSegments = random.Between(1, 6),
        Rules = plant.Rules(),
    };
}
