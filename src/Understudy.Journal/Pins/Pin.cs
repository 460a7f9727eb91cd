using System.Collections.Immutable;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;
using Understudy.Journal.Views;

namespace Understudy.Journal.Pins;

/// <summary>
/// Keeps a point readable whatever apply does: the segments between the base of its day and the point, and pre-images of
/// base blocks that were overwritten since. Open views share the pin of their point; a durable one is in the manifest.
/// Changed by the replica and its apply only; read by views at any time.
/// </summary>
internal sealed class Pin(PinId id, PointState point, ulong baseSequence, GeometryBody? baseGeometry)
{
    private ImmutableArray<Layer> _layers = [];
    private ImmutableArray<SegmentFile> _segments = [];
    private int _version;

    public PinId Id { get; } = id;

    public PointState Point { get; } = point;

    /// <summary>The base as this pin sees it holds all records up to here.</summary>
    public ulong BaseSequence { get; } = baseSequence;

    /// <summary>The disks of the base as this pin sees it; null when the base was still empty.</summary>
    public GeometryBody? BaseGeometry { get; } = baseGeometry;

    /// <summary>In the manifest; null for the pin of open views, which ends with them.</summary>
    public Manifests.PinEntry? Entry { get; set; }

    public bool IsDurable => Entry is not null;

    /// <summary>Open views.</summary>
    public int Users { get; set; }

    /// <summary>An apply is saving blocks for this pin: it stays until that is over.</summary>
    public bool IsBeingSaved { get; set; }

    /// <summary>Null until the first block had to be saved.</summary>
    public SegmentLog? PreImages { get; private set; }

    /// <summary>
    /// Changes whenever pre-images were added, before the base blocks they save are overwritten. A reader that finds the
    /// same version before and after it has read the base has read what the pin stands for.
    /// </summary>
    public int Version => Volatile.Read(ref _version);

    /// <summary>Pre-images below, the journal above.</summary>
    public ImmutableArray<Layer> Layers => _layers;

    public ImmutableArray<SegmentFile> Segments
    {
        get => _segments;
        set
        {
            _segments = value;
            Publish();
        }
    }

    public bool Needs(SegmentFile segment) => segment.LastSequence > BaseSequence && segment.FirstSequence <= Point.Sequence;

    public void Use(SegmentLog preImages)
    {
        PreImages = preImages;
        Publish();
    }

    /// <summary>Makes what has been saved since visible to readers; it is durable already.</summary>
    public void Publish()
    {
        Layer journal = new(_segments, BaseSequence, Point.Sequence);
        _layers = PreImages is { } saved ? [new Layer(saved.Segments, 0, saved.FlushedSequence), journal] : [journal];
        Interlocked.Increment(ref _version);
    }

    /// <summary>Whether a block has been saved before.</summary>
    public async ValueTask<bool> HasPreImageAsync(DiskId disk, long block, CancellationToken cancellationToken)
    {
        if (PreImages is not { } saved)
        {
            return false;
        }

        List<SegmentExtent> found = [];
        foreach (SegmentFile segment in saved.Segments)
        {
            await segment.CollectAsync(disk, RecordLimits.BlockRange(block), 0, ulong.MaxValue, found, cancellationToken);
        }

        return found.Count > 0;
    }
}
