using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Target;

/// <summary>A replica as the replication receiver sees it.</summary>
internal sealed class ReplicaSink(Replica replica) : IReplicaSink
{
    public CurrentLine Current => replica.Status.Lines is [.., var newest]
        ? new CurrentLine(newest.Line, newest.MintedAt)
        : new CurrentLine(replica.Line);

    public CancellationToken LineEnds => replica.LineEnds;

    public ulong ReceivedSequence => replica.ReceivedSequence;

    public ulong FlushedSequence => replica.FlushedSequence;

    public RecoveryPointId? LastPoint => replica.Points is [.., { } newest] ? newest.Id : null;

    public ValueTask<AppendOutcome> AppendAsync(ReadOnlyMemory<byte> record, CancellationToken cancellationToken) =>
        replica.AppendAsync(record, cancellationToken);

    public ValueTask<ulong> FlushAsync(CancellationToken cancellationToken) => replica.FlushAsync(cancellationToken);
}
