using Understudy.Blocks;

namespace Understudy.Simulation.Models;

/// <summary>
/// A disk's content as references to blocks that snapshots share: taking one copies the references, and the first write to
/// a block after that replaces it. An absent block reads as zeros.
/// </summary>
internal sealed class DiskImage
{
    private static readonly byte[] Zeros = new byte[BlockSize.Bytes];
    private readonly byte[]?[] _blocks;

    /// <summary>Blocks that no snapshot shares yet.</summary>
    private readonly bool[] _own;

    public DiskImage(long sizeBytes)
        : this(sizeBytes, new byte[]?[BlockSize.CountFor(sizeBytes)])
    {
    }

    private DiskImage(long sizeBytes, byte[]?[] blocks)
    {
        SizeBytes = sizeBytes;
        _blocks = blocks;
        _own = new bool[blocks.Length];
    }

    public long SizeBytes { get; }

    public int BlockCount => _blocks.Length;

    /// <summary>The same content on a longer disk; the new part reads as zeros.</summary>
    public DiskImage Grown(long sizeBytes)
    {
        var blocks = new byte[]?[BlockSize.CountFor(sizeBytes)];
        for (int i = 0; i < _blocks.Length; i++)
        {
            _own[i] = false;
            blocks[i] = _blocks[i];
        }

        return new DiskImage(sizeBytes, blocks);
    }

    public DiskImage Snapshot()
    {
        Array.Clear(_own);
        return new DiskImage(SizeBytes, [.. _blocks]);
    }

    public ReadOnlySpan<byte> Block(int index) =>
        (_blocks[index] ?? Zeros).AsSpan(0, (int)Math.Min(BlockSize.Bytes, SizeBytes - ((long)index * BlockSize.Bytes)));

    public ByteRange RangeOf(int index)
    {
        long start = (long)index * BlockSize.Bytes;
        return ByteRange.FromTo(start, Math.Min(SizeBytes, start + BlockSize.Bytes));
    }

    /// <summary>True when the block was never written or was given back.</summary>
    public bool IsHole(int index) => _blocks[index] is null;

    /// <summary>The block itself: two snapshots that share it hold the same content. Null for a hole.</summary>
    public byte[]? Reference(int index) => _blocks[index];

    /// <summary>The first block that holds something else; null when there is none.</summary>
    public int? FirstDifference(DiskImage other)
    {
        if (other.BlockCount != BlockCount)
        {
            return Math.Min(other.BlockCount, BlockCount);
        }

        for (int block = 0; block < BlockCount; block++)
        {
            if (_blocks[block] != other._blocks[block] && !Block(block).SequenceEqual(other.Block(block)))
            {
                return block;
            }
        }

        return null;
    }

    /// <summary>Writes inside one block.</summary>
    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        int index = (int)(offset / BlockSize.Bytes);
        if (!_own[index] || _blocks[index] is not { } block)
        {
            block = Copy(_blocks[index]);
            _blocks[index] = block;
            _own[index] = true;
        }

        data.CopyTo(block.AsSpan((int)(offset % BlockSize.Bytes)));
    }

    private static byte[] Copy(byte[]? shared)
    {
        if (shared is null)
        {
            return new byte[BlockSize.Bytes];
        }

        byte[] copy = GC.AllocateUninitializedArray<byte>(BlockSize.Bytes);
        shared.CopyTo(copy, 0);
        return copy;
    }

    public void Discard(int index) => _blocks[index] = null;

    public void Read(long offset, Span<byte> target)
    {
        while (!target.IsEmpty)
        {
            ReadOnlySpan<byte> block = Block((int)(offset / BlockSize.Bytes))[(int)(offset % BlockSize.Bytes)..];
            int count = Math.Min(block.Length, target.Length);
            block[..count].CopyTo(target);
            target = target[count..];
            offset += count;
        }
    }
}
