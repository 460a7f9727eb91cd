using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Source;

/// <summary>A protected disk: its number in the replica, the guest device it is, and how much of it the target has.</summary>
/// <param name="CopiedBytes">Below it the target has the disk as of the state's checkpoint.</param>
/// <param name="VirginFromBytes">From here on the target has never been sent anything, so that zeros need not be sent;
/// <see cref="Nowhere"/> when nobody knows what it has.</param>
/// <param name="Joining">It came to a VM that has points already: none of them has it before its own copy is whole.</param>
public sealed record SourceDisk(
    DiskId Disk, string TargetDevice, long SizeBytes, long CopiedBytes = 0, long VirginFromBytes = 0, bool Joining = false)
{
    /// <summary>No virgin ground, however much the disk grows.</summary>
    public const long Nowhere = long.MaxValue;

    public bool IsWhole => CopiedBytes == SizeBytes;

    /// <summary>What the target has of it is in some older state, or, when even that is not known, in any.</summary>
    internal SourceDisk FromTheStart(bool targetIsKnown) => this with
    {
        CopiedBytes = 0,
        VirginFromBytes = targetIsKnown ? VirginFromBytes : Nowhere,
    };

    /// <summary>The copy has come to <paramref name="copiedBytes"/>.</summary>
    internal SourceDisk CopiedTo(long copiedBytes) => this with
    {
        CopiedBytes = copiedBytes,
        VirginFromBytes = Math.Max(VirginFromBytes, copiedBytes),
    };

    /// <summary>A slice up to <paramref name="reachedBytes"/> may have been sent in part: no virgin ground any more.</summary>
    internal SourceDisk TouchedTo(long reachedBytes) => this with { VirginFromBytes = Math.Max(VirginFromBytes, reachedBytes) };

    /// <summary>The last block may be shared by the old end and what is new: it is read again with it.</summary>
    internal SourceDisk GrownTo(long sizeBytes) => this with
    {
        SizeBytes = sizeBytes,
        CopiedBytes = Math.Min(CopiedBytes, SizeBytes / BlockSize.Bytes * BlockSize.Bytes),
    };
}
