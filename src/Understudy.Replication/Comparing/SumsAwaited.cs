using Understudy.Replication.Wire;

namespace Understudy.Replication.Comparing;

/// <summary>
/// What a source has asked for and not been told yet; no I/O. Answers come in the order of the questions, and nothing that
/// was not asked for is kept. The sender's writes and its read loop meet here, under the lock.
/// </summary>
internal sealed class SumsAwaited
{
    private readonly Lock _lock = new();
    private readonly Queue<SumTable> _tables = new();

    /// <summary>Null while as many questions are out as may be.</summary>
    public SumTable? TryAsk(ComparedRange range)
    {
        lock (_lock)
        {
            if (_tables.Count == ProtocolLimits.QuestionsOut)
            {
                return null;
            }

            SumTable table = new(range);
            _tables.Enqueue(table);
            return table;
        }
    }

    public bool IsWhole(SumTable table)
    {
        lock (_lock)
        {
            return table.IsWhole;
        }
    }

    /// <summary>False when this is no answer to the oldest question.</summary>
    public bool TryTake(ControlFrame.Sums answer)
    {
        lock (_lock)
        {
            if (!_tables.TryPeek(out SumTable? table)
                || table.Of.Disk != answer.Disk
                || table.Of.Range.OffsetBytes + ((long)table.Filled * table.Of.BlockBytes) != answer.OffsetBytes
                || answer.Blocks > table.Of.Blocks - table.Filled)
            {
                return false;
            }

            if (answer.IsZeros)
            {
                table.AddZeros(answer.Blocks);
            }
            else
            {
                table.Add(answer.Content.Span);
            }

            if (table.IsWhole)
            {
                _tables.Dequeue();
            }

            return true;
        }
    }
}
