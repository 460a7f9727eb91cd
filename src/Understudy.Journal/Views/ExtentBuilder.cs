using Understudy.Blocks;

namespace Understudy.Journal.Views;

/// <summary>Puts neighbouring extents of one kind together.</summary>
internal sealed class ExtentBuilder
{
    private readonly List<BlockExtent> _extents = [];

    public void Add(long from, long end, ExtentKind kind)
    {
        if (end <= from)
        {
            return;
        }

        if (_extents.Count > 0 && _extents[^1].Kind == kind)
        {
            _extents[^1] = new BlockExtent(ByteRange.FromTo(_extents[^1].Range.OffsetBytes, end), kind);
            return;
        }

        _extents.Add(new BlockExtent(ByteRange.FromTo(from, end), kind));
    }

    public IReadOnlyList<BlockExtent> ToList(ByteRange range)
    {
        if (_extents.Count == 0)
        {
            _extents.Add(new BlockExtent(range, ExtentKind.Hole));
        }

        return _extents;
    }
}
