namespace Understudy.Blocks;

/// <summary>Finds blocks of zeros, which are then never stored nor sent.</summary>
public static class ZeroScan
{
    /// <summary>Whether all bytes are zero; ends at the first one that is not, so data costs almost nothing.</summary>
    public static bool IsZero(ReadOnlySpan<byte> data) => !data.ContainsAnyExcept((byte)0);
}
