using Understudy.Blocks;

namespace Understudy.Simulation.Models;

/// <summary>
/// A disk's content as references to immutable blocks: taking a snapshot copies the references, a write replaces one
/// block. An absent block reads as zeros.
/// </summary>
internal sealed class DiskImage
{
    private static readonly byte[] Zeros = new byte[BlockSize.Bytes];
    private readonly byte[]?[] _blocks;

    public DiskImage(long sizeBytes)
        : this(sizeBytes, new byte[]?[BlockSize.CountFor(sizeBytes)])
    {
    }

    private DiskImage(long sizeBytes, byte[]?[] blocks)
    {
        SizeBytes = sizeBytes;
        _blocks = blocks;
    }

    public long SizeBytes { get; }

    public int BlockCount => _blocks.Length;

    public DiskImage Snapshot() => new(SizeBytes, [.. _blocks]);

    public ReadOnlySpan<byte> Block(int index) =>
        (_blocks[index] ?? Zeros).AsSpan(0, (int)Math.Min(BlockSize.Bytes, SizeBytes - ((long)index * BlockSize.Bytes)));

    /// <summary>True when the block was never written or was given back.</summary>
    public bool IsHole(int index) => _blocks[index] is null;

    /// <summary>The block itself, for undoing a write; null for a hole.</summary>
    public byte[]? Reference(int index) => _blocks[index];

    public void Restore(int index, byte[]? reference) => _blocks[index] = reference;

    /// <summary>Writes inside one block.</summary>
    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        int index = (int)(offset / BlockSize.Bytes);
        byte[] block = new byte[BlockSize.Bytes];
        _blocks[index]?.CopyTo(block, 0);
        data.CopyTo(block.AsSpan((int)(offset % BlockSize.Bytes)));
        _blocks[index] = block;
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
