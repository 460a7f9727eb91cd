using System.Buffers;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;

namespace Understudy.Journal.Views;

/// <summary>Segments whose records with a sequence in (After, Through] count.</summary>
internal sealed record Layer(ImmutableArray<SegmentFile> Segments, ulong After, ulong Through);

/// <summary>A range of a disk and the record that has its newest content.</summary>
internal readonly record struct Slice(ByteRange Range, SegmentExtent Source);

/// <summary>
/// Which record counts for each part of one region of a disk, newest wins; what is in no slice is the base's. Made by
/// painting the extents into an array of sectors, oldest first, so that the last paint is the answer: there is no case
/// of overlap that could be forgotten (docs/decisions/view-index.md).
/// </summary>
internal sealed class RegionMap
{
    private readonly Slice[] _slices;

    private RegionMap(ByteRange region, Slice[] slices)
    {
        Region = region;
        _slices = slices;
    }

    public ByteRange Region { get; }

    /// <summary>Ascending, without overlap; gaps are the base's.</summary>
    public ReadOnlySpan<Slice> Slices => _slices;

    public int Count => _slices.Length;

    public bool IsEmpty => _slices.Length == 0;

    /// <summary>Later layers lie above earlier ones.</summary>
    public static async ValueTask<RegionMap> ResolveAsync(
        ImmutableArray<Layer> layers, DiskId disk, ByteRange region, CancellationToken cancellationToken)
    {
        List<SegmentExtent> extents = [];
        foreach (Layer layer in layers)
        {
            int start = extents.Count;
            foreach (SegmentFile segment in layer.Segments)
            {
                await segment.CollectAsync(disk, region, layer.After, layer.Through, extents, cancellationToken);
            }

            // Within a segment the index is by offset; painting needs the order of writing.
            CollectionsMarshal.AsSpan(extents)[start..].Sort(static (a, b) => a.Entry.Sequence.CompareTo(b.Entry.Sequence));
        }

        return new RegionMap(region, extents.Count == 0 ? [] : Paint(region, CollectionsMarshal.AsSpan(extents)));
    }

    /// <summary>The first slice that ends after the offset; <see cref="Count"/> when there is none.</summary>
    public int FirstEndingAfter(long offsetBytes)
    {
        int low = 0;
        int high = _slices.Length;
        while (low < high)
        {
            int middle = low + ((high - low) / 2);
            if (_slices[middle].Range.EndBytes <= offsetBytes)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    private static Slice[] Paint(ByteRange region, ReadOnlySpan<SegmentExtent> oldestFirst)
    {
        int sectors = (int)(region.LengthBytes / RecordLimits.SectorBytes);
        int[] painted = ArrayPool<int>.Shared.Rent(sectors);
        try
        {
            Span<int> canvas = painted.AsSpan(0, sectors);
            canvas.Clear();
            for (int i = 0; i < oldestFirst.Length; i++)
            {
                ByteRange part = oldestFirst[i].Entry.Range.Intersect(region);
                int from = (int)((part.OffsetBytes - region.OffsetBytes) / RecordLimits.SectorBytes);
                canvas.Slice(from, (int)(part.LengthBytes / RecordLimits.SectorBytes)).Fill(i + 1);
            }

            return Read(canvas, region, oldestFirst);
        }
        finally
        {
            ArrayPool<int>.Shared.Return(painted);
        }
    }

    private static Slice[] Read(ReadOnlySpan<int> canvas, ByteRange region, ReadOnlySpan<SegmentExtent> extents)
    {
        List<Slice> slices = [];
        int at = 0;
        while (at < canvas.Length)
        {
            int colour = canvas[at];
            int length = canvas[at..].IndexOfAnyExcept(colour);
            length = length < 0 ? canvas.Length - at : length;
            if (colour != 0)
            {
                ByteRange range = new(region.OffsetBytes + ((long)at * RecordLimits.SectorBytes), (long)length * RecordLimits.SectorBytes);
                slices.Add(new Slice(range, extents[colour - 1]));
            }

            at += length;
        }

        return [.. slices];
    }
}
