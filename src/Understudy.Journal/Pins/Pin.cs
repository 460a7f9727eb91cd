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
internal sealed class Pin(PinId id, PointState point, PinSpan span)
{
    private ImmutableArray<Layer> _layers = [];
    private ImmutableArray<SegmentFile> _segments = [];
    private ulong _published; // The newest record of its pre-images that views read.
    private int _version;

    public PinId Id { get; } = id;

    public PointState Point { get; } = point;

    /// <summary>Which records it shows over which base. Changed under the replica's gate.</summary>
    public PinSpan Span { get; set; } = span;

    /// <summary>Set once the content of every block that records after this one touch is saved: the pin can then do without
    /// those records. Changed under the replica's gate.</summary>
    public ulong? SavedAfter { get; set; }

    /// <summary>The base as this pin sees it holds all records up to here.</summary>
    public ulong BaseSequence => Span.Base;

    /// <summary>The disks of the base as this pin sees it; null when the base was still empty.</summary>
    public GeometryBody? BaseGeometry => Span.BaseGeometry;

    /// <summary>As the manifest in force has it; null for the pin of open views, which ends with them.</summary>
    public Manifests.PinEntry? Entry { get; set; }

    public bool IsDurable => Entry is not null;

    /// <summary>Open views.</summary>
    public int Users { get; set; }

    /// <summary>An apply is saving blocks for this pin: it stays until that is over.</summary>
    public bool IsBeingSaved { get; set; }

    /// <summary>Null until the first block had to be saved.</summary>
    public SegmentLog? PreImages { get; private set; }

    /// <summary>
    /// Changes whenever pre-images were added, before the base blocks they save are overwritten, and before segments it shows
    /// are cut. A reader that finds the same version before and after it has looked at the journal, and again after it has
    /// read the base, has read what the pin stands for.
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

    public bool Needs(SegmentFile segment) =>
        Span.Through > Span.Base && segment.LastSequence > Span.Base && segment.FirstSequence <= Span.Through;

    public void Use(SegmentLog preImages)
    {
        PreImages = preImages;
        Publish();
    }

    /// <summary>Makes what has been saved since visible to readers; it is durable already.</summary>
    public void Publish()
    {
        Layer journal = new(_segments, Span.Base, Span.Through);
        Volatile.Write(ref _published, PreImages?.FlushedSequence ?? 0);
        _layers = PreImages is { } saved ? [new Layer(saved.Segments, 0, _published), journal] : [journal];
        Interlocked.Increment(ref _version);
    }

    /// <summary>Whether a block has been saved before, for every view to see. What was written for an apply that could not go on is in
    /// none yet, durable or not, and saved again: the base has not changed since.</summary>
    public async ValueTask<bool> HasPreImageAsync(DiskId disk, long block, CancellationToken cancellationToken)
    {
        if (PreImages is not { } saved)
        {
            return false;
        }

        List<SegmentExtent> found = [];
        foreach (SegmentFile segment in saved.Segments)
        {
            await segment.CollectAsync(disk, RecordLimits.BlockRange(block), 0, Volatile.Read(ref _published), found, cancellationToken);
        }

        return found.Count > 0;
    }
}

/// <summary>
/// The records with a sequence in (<paramref name="Base"/>, <paramref name="Through"/>] are read from the journal, all older
/// ones from the base and what was saved of it. As a rule through is the point's own sequence; it is earlier when the
/// journal has been cut before the point, and what the pin needs of the rest is saved (docs/formats/pins.md).
/// </summary>
/// <param name="BaseGeometry">The disks of the base; null when it was still empty.</param>
internal readonly record struct PinSpan(ulong Base, ulong Through, GeometryBody? BaseGeometry);
