using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Tests.Transfer;

/// <summary>A replica reduced to its rules: accepts the next record of its line, keeps what was flushed over a crash, and
/// notes the order of what happened.</summary>
internal sealed class RecordingSink(LineId line) : IReplicaSink
{
    private readonly List<byte[]> _records = [];
    private int _flushedCount;

    private CancellationTokenSource _lineEnds = new();

    public LineId Line { get; private set; } = line;

    public CurrentLine Current { get; private set; } = new(line);

    public CancellationToken LineEnds => _lineEnds.Token;

    public ulong ReceivedSequence => (ulong)_records.Count;

    public ulong FlushedSequence => (ulong)_flushedCount;

    public RecoveryPointId? LastPoint => null;

    public IReadOnlyList<byte[]> Records => _records;

    public int Flushes { get; private set; }

    /// <summary>Awaited inside each flush, before it counts.</summary>
    public Func<Task>? BeforeFlushEnds { get; set; }

    /// <summary>Answers instead of the rules when it returns something.</summary>
    public Func<RecordHeader, AppendOutcome?>? Instead { get; set; }

    public Exception? FlushFault { get; set; }

    public bool HoldsSeed { get; set; }

    /// <summary>What is there to compare with.</summary>
    public Func<DiskId, IBlockDevice?> Open { get; set; } = _ => null;

    /// <summary>Flushes there had been at each opening.</summary>
    public List<int> OpenedAfterFlushes { get; } = [];

    public ValueTask<IBlockDevice?> OpenNewestAsync(DiskId disk, CancellationToken cancellationToken)
    {
        OpenedAfterFlushes.Add(Flushes);
        return ValueTask.FromResult(Open(disk));
    }

    public ValueTask<AppendOutcome> AppendAsync(ReadOnlyMemory<byte> record, CancellationToken cancellationToken)
    {
        RecordDefect defect = RecordHeader.Read(record.Span, out RecordHeader header);
        Assert.Equal(RecordDefect.None, defect);
        return ValueTask.FromResult(Instead?.Invoke(header) ?? Judge(header, record));
    }

    public async ValueTask<ulong> FlushAsync(CancellationToken cancellationToken)
    {
        if (FlushFault is { } fault)
        {
            throw fault;
        }

        int covered = _records.Count;
        if (BeforeFlushEnds is { } wait)
        {
            await wait();
        }

        _flushedCount = covered;
        Flushes++;
        return FlushedSequence;
    }

    public void TakeOver(CurrentLine by)
    {
        (Line, Current) = (by.Line, by);
        CancellationTokenSource before = _lineEnds;
        _lineEnds = new CancellationTokenSource();
        before.Cancel();
    }

    /// <summary>Power loss: what was not flushed is gone.</summary>
    public void Crash() => _records.RemoveRange(_flushedCount, _records.Count - _flushedCount);

    private AppendOutcome Judge(RecordHeader header, ReadOnlyMemory<byte> record)
    {
        if (header.Line != Line)
        {
            return new AppendOutcome.StaleLine(Line);
        }

        if (!header.Matches(record.Span[RecordHeader.SizeBytes..]))
        {
            return new AppendOutcome.Corrupt("payload");
        }

        if (header.Sequence <= ReceivedSequence)
        {
            return new AppendOutcome.Duplicate();
        }

        if (header.Sequence != ReceivedSequence + 1)
        {
            return new AppendOutcome.Gap(ReceivedSequence + 1);
        }

        _records.Add(record.ToArray());
        return new AppendOutcome.Accepted();
    }
}
