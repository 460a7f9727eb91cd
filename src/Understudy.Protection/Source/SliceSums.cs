using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Replication.Comparing;

namespace Understudy.Protection.Source;

/// <summary>What a slice has to compare with.</summary>
internal abstract class SliceSums
{
    /// <summary>The target cannot tell what it holds: everything is sent, zeros too.</summary>
    public static SliceSums Unavailable { get; } = new Without(compares: false);

    /// <summary>It can and has not yet: the slice ends before such ground.</summary>
    public static SliceSums NotYet { get; } = new Without(compares: true);

    public abstract bool Compares { get; }

    /// <summary>The end of the part of <paramref name="ground"/> whose sums are at hand; its beginning when there is none.</summary>
    public abstract long KnownTo(DiskId disk, ByteRange ground);

    /// <summary>The target's sum of the block; only below <see cref="KnownTo"/>.</summary>
    public abstract ContentSum At(DiskId disk, long offsetBytes);

    private sealed class Without(bool compares) : SliceSums
    {
        public override bool Compares => compares;

        public override long KnownTo(DiskId disk, ByteRange ground) => ground.OffsetBytes;

        public override ContentSum At(DiskId disk, long offsetBytes) => throw new InvariantException("there are no sums");
    }
}
