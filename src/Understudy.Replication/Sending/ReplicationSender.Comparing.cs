using Understudy.Blocks;
using Understudy.Replication.Comparing;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Sending;

public sealed partial class ReplicationSender
{
    /// <summary>
    /// What the target holds of a range, everything sent before this call included. Waits while too many questions are out,
    /// and then for the answer. May be called beside the caller that sends, and several times at once; the answers come in
    /// the order of the calls.
    /// </summary>
    public async ValueTask<SumTable> AskSumsAsync(ComparedRange range, CancellationToken cancellationToken)
    {
        Invariant.Check(CanCompare, "the target has not said that it can compare");
        SumTable table = await AskAsync(range, cancellationToken);
        while (true)
        {
            long seen = _changed.Beats;
            if (_sums.IsWhole(table))
            {
                return table;
            }

            ThrowIfEnded();
            await _changed.WaitPastAsync(seen, cancellationToken);
        }
    }

    /// <summary>Questions go out in the order in which their answers are awaited.</summary>
    private async ValueTask<SumTable> AskAsync(ComparedRange range, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _asking.EnterAsync(cancellationToken);
        while (true)
        {
            long seen = _changed.Beats;
            ThrowIfEnded();
            if (_sums.TryAsk(range) is { } table)
            {
                await WriteAsync(ControlFrameCodec.Encode(new ControlFrame.AskSums(range)), push: true, cancellationToken);
                return table;
            }

            await _changed.WaitPastAsync(seen, cancellationToken);
        }
    }
}
