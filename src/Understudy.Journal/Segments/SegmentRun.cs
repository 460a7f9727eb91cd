using System.Text.Json.Serialization;

namespace Understudy.Journal.Segments;

/// <summary>
/// Neighbouring segments that belong to a log, and the sequences in them that count. The last run of a log is open: it has
/// no <see cref="Through"/> and grows without anybody noting it.
/// </summary>
internal sealed record SegmentRun(ulong From, ulong? Through, ulong FirstSequence, ulong? LastSequence)
{
    [JsonIgnore]
    public bool IsOpen => Through is null;

    public static SegmentRun Open(ulong from, ulong firstSequence) => new(from, null, firstSequence, null);

    public bool Holds(ulong number) => number >= From && (Through is null || number <= Through);
}
