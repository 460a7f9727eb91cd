using System.Diagnostics;
using Understudy.Blocks;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Receiving;

/// <summary>
/// The receiver's decisions, without I/O: may this source write this replica, what does an append's outcome mean, when is
/// a flush due, what may be acknowledged. The shell around it moves the bytes.
/// </summary>
internal sealed class ReceiverCore(ulong flushedSequence)
{
    private long _unflushedBytes;

    /// <summary>The highest number this connection has acknowledged (WELCOME counts).</summary>
    public ulong AcknowledgedSequence { get; private set; } = flushedSequence;

    public bool HasUnflushed => _unflushedBytes > 0;

    /// <summary>Group commit: a flush is due by volume here; the shell adds "the source paused" and END_OF_BATCH.</summary>
    public bool FlushIsDue => _unflushedBytes >= ProtocolLimits.FlushEveryBytes;

    public static Refusal? JudgeHello(ControlFrame.Hello hello, CurrentLine current) =>
        hello.Line == current.Line ? null : Refusal.StaleLine(hello.Line, current);

    public static Refusal? JudgeBanner(Banner banner) =>
        banner.ProtocolVersion == ProtocolLimits.Version
            ? null
            : new Refusal(
                RefusalCode.VersionUnsupported,
                FaultClass.NeedsOperator,
                $"protocol version {banner.ProtocolVersion} (software {banner.Software}) is not spoken here, only {ProtocolLimits.Version}",
                "Bring both agents to the same release; the older one first.");

    /// <summary>Books an append; null when the connection goes on.</summary>
    /// <param name="current">The replica's line, asked for after the append.</param>
    public Refusal? Appended(AppendOutcome outcome, RecordHeader record, CurrentLine current)
    {
        switch (outcome)
        {
            case AppendOutcome.Accepted:
                _unflushedBytes += record.RecordBytes;
                return null;
            case AppendOutcome.Duplicate:
                return null;
            case AppendOutcome.Gap gap:
                return Refusal.Gap(record.Sequence, gap.ExpectedSequence);
            case AppendOutcome.StaleLine stale:
                return Refusal.StaleLine(record.Line, current.Line == stale.CurrentLine ? current : new CurrentLine(stale.CurrentLine));
            case AppendOutcome.Diverged diverged:
                return new Refusal(
                    RefusalCode.Diverged,
                    FaultClass.NeedsOperator,
                    $"the replica still holds records newer than {diverged.Parent}, where line {record.Line} begins",
                    "The target drops them when the failover it belongs to is committed or cancelled; finish that first.");
            case AppendOutcome.Closed closed:
                return new Refusal(
                    RefusalCode.Closed,
                    FaultClass.NeedsOperator,
                    closed.What,
                    "Protect the VM anew, in the direction it runs now.");
            case AppendOutcome.Corrupt corrupt:
                return new Refusal(
                    RefusalCode.Corrupt,
                    FaultClass.Transient,
                    $"a record is damaged: {corrupt.What}",
                    "Nothing of it was stored. The source reads it again; if that repeats, look at the disk of its spool.");
            case AppendOutcome.Full full:
                return new Refusal(
                    RefusalCode.TargetFull,
                    FaultClass.NeedsOperator,
                    full.What,
                    "Free or add space in the replica's pool; replication goes on by itself.");
            default:
                throw new UnreachableException();
        }
    }

    /// <summary>What to acknowledge after a flush returned; null when that was said already.</summary>
    public ControlFrame.Ack? Flushed(ulong flushedSequence)
    {
        Invariant.Check(flushedSequence >= AcknowledgedSequence, "the replica's flushed sequence went back below what was acknowledged");
        _unflushedBytes = 0;
        if (flushedSequence == AcknowledgedSequence)
        {
            return null;
        }

        AcknowledgedSequence = flushedSequence;
        return new ControlFrame.Ack(flushedSequence);
    }
}
