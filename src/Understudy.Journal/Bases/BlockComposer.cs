using Understudy.Blocks;
using Understudy.Journal.Segments;
using Understudy.Journal.Views;

namespace Understudy.Journal.Bases;

/// <summary>Lays the journal's newest content over a base block.</summary>
internal sealed class BlockComposer(RecordReader records, ContentCache contents)
{
    /// <summary>What the journal says about one block.</summary>
    public static BlockCover Cover(RegionMap map, ByteRange block, long diskBytes)
    {
        long covered = 0;
        ulong newest = 0;
        for (int i = map.FirstEndingAfter(block.OffsetBytes); i < map.Count && map.Slices[i].Range.OffsetBytes < block.EndBytes; i++)
        {
            covered += map.Slices[i].Range.Intersect(block).LengthBytes;
            newest = Math.Max(newest, map.Slices[i].Source.Entry.Sequence);
        }

        return new BlockCover(covered > 0, covered == Math.Min(block.EndBytes, diskBytes) - block.OffsetBytes, newest);
    }

    /// <summary>Overwrites the parts of the buffer, one block, that the journal has.</summary>
    public async ValueTask OverlayAsync(RegionMap map, ByteRange block, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        for (int i = map.FirstEndingAfter(block.OffsetBytes); i < map.Count; i++)
        {
            (ByteRange range, SegmentExtent source) = map.Slices[i];
            ByteRange part = range.Intersect(block);
            if (part.IsEmpty)
            {
                return;
            }

            Memory<byte> target = buffer.Slice((int)(part.OffsetBytes - block.OffsetBytes), (int)part.LengthBytes);
            await records.ReadPartAsync(source, part.OffsetBytes, target, contents, cancellationToken);
        }
    }
}

/// <summary>
/// <paramref name="IsWhole"/>: nothing of the base remains. <paramref name="NewestSequence"/>: of all records that touch the
/// block the newest is always visible, as nothing lies over it.
/// </summary>
internal readonly record struct BlockCover(bool IsTouched, bool IsWhole, ulong NewestSequence);
