using Understudy.Journal.Records;

namespace Understudy.Replication.Wire;

/// <summary>
/// How much of the stream a record takes. The frame of a record is the record itself: its header's own checksum vouches
/// for the length, and the replica verifies the rest.
/// </summary>
internal static class RecordFraming
{
    /// <summary>"USR1": the first four bytes of every record header (asserted against the codec by a test).</summary>
    public const uint Magic = 0x3152_5355;

    public const int HeaderBytes = RecordHeader.SizeBytes;

    public const int MaxRecordBytes = RecordLimits.MaxRecordBytes;

    /// <summary>The error is null when the length can be trusted.</summary>
    public static string? CheckHeader(ReadOnlySpan<byte> header, out int recordBytes)
    {
        RecordDefect defect = RecordHeader.Read(header, out RecordHeader read);
        recordBytes = defect == RecordDefect.None ? read.RecordBytes : 0;
        return defect == RecordDefect.None ? null : $"a record's header is damaged ({defect})";
    }
}
