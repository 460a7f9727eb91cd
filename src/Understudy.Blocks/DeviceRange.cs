namespace Understudy.Blocks;

/// <summary>The one check of a range against a disk's size that every device makes first.</summary>
public static class DeviceRange
{
    public static void Check(long sizeBytes, long offsetBytes, long lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offsetBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(lengthBytes);
        if (lengthBytes > sizeBytes - offsetBytes)
        {
            throw new ArgumentOutOfRangeException(
                nameof(offsetBytes), $"The range at {offsetBytes} of {lengthBytes} bytes ends behind the disk's end at {sizeBytes}.");
        }
    }

    public static void Check(long sizeBytes, ByteRange range) => Check(sizeBytes, range.OffsetBytes, range.LengthBytes);
}
