using System.Buffers;
using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Journal.Bases;

/// <summary>
/// Blocks on their way into the base, ascending by disk and block, with their new content in one buffer: neighbours on the
/// disk are neighbours in memory and go out in one write. Owns the buffer.
/// </summary>
internal sealed class ApplyBatch(int capacity) : IDisposable
{
    private readonly List<LoggedBlock> _blocks = new(capacity);
    private byte[] _content = ArrayPool<byte>.Shared.Rent(capacity * BlockSize.Bytes);

    public IReadOnlyList<LoggedBlock> Blocks => _blocks;

    public bool IsEmpty => _blocks.Count == 0;

    public bool IsFull => _blocks.Count == capacity;

    /// <summary>Where the next block's content is put together.</summary>
    public Memory<byte> NextSlot => _content.AsMemory(_blocks.Count * BlockSize.Bytes, BlockSize.Bytes);

    public ReadOnlyMemory<byte> Content(int first, int count) => _content.AsMemory(first * BlockSize.Bytes, count * BlockSize.Bytes);

    public void Add(LoggedBlock block) => _blocks.Add(block);

    public void Clear() => _blocks.Clear();

    public LoggedBlock[] OfDisk(DiskId disk) => [.. _blocks.Where(b => b.Disk == disk)];

    public IEnumerable<DiskId> Disks => _blocks.Select(b => b.Disk).Distinct();

    /// <summary>Runs of neighbouring blocks: (index of the first, count). With <paramref name="splitZeros"/>, zeros and data apart.</summary>
    public IEnumerable<(int First, int Count)> Runs(bool splitZeros)
    {
        int first = 0;
        for (int i = 1; i <= _blocks.Count; i++)
        {
            bool joins = i < _blocks.Count && _blocks[i].Disk == _blocks[first].Disk && _blocks[i].Block == _blocks[i - 1].Block + 1
                && (!splitZeros || (_blocks[i].NewSum == BaseSums.OfZeros) == (_blocks[first].NewSum == BaseSums.OfZeros));
            if (!joins)
            {
                yield return (first, i - first);
                first = i;
            }
        }
    }

    public void Dispose()
    {
        byte[] content = _content;
        _content = [];
        if (content.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(content);
        }
    }
}
