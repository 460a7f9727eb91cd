namespace Understudy.Replication.Comparing;

/// <summary>What the target says of the blocks of a range; filled from its answers, then read only.</summary>
public sealed class SumTable
{
    private readonly byte[] _sums;

    internal SumTable(ComparedRange of)
    {
        Of = of;
        _sums = new byte[of.Blocks * ContentSum.SizeBytes];
    }

    public ComparedRange Of { get; }

    internal int Filled { get; private set; }

    internal bool IsWhole => Filled == Of.Blocks;

    /// <param name="offsetBytes">Anywhere in the block.</param>
    public ContentSum At(long offsetBytes)
    {
        int block = (int)((offsetBytes - Of.Range.OffsetBytes) / Of.BlockBytes);
        return ContentSum.Read(_sums.AsSpan(block * ContentSum.SizeBytes, ContentSum.SizeBytes));
    }

    internal void AddZeros(int blocks)
    {
        ContentSum zeros = ContentSum.OfZeros(Of.BlockBytes);
        for (int i = 0; i < blocks; i++)
        {
            zeros.Write(_sums.AsSpan((Filled + i) * ContentSum.SizeBytes));
        }

        Filled += blocks;
    }

    internal void Add(ReadOnlySpan<byte> sums)
    {
        sums.CopyTo(_sums.AsSpan(Filled * ContentSum.SizeBytes));
        Filled += sums.Length / ContentSum.SizeBytes;
    }
}
