using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Target;

/// <summary>A replica as the replication receiver sees it.</summary>
/// <param name="describeLine">What a source on another line is told.</param>
/// <param name="holdsSeed">It began, or is to begin, with content of its own.</param>
internal sealed class ReplicaSink(Replica replica, Func<CurrentLine> describeLine, bool holdsSeed) : IReplicaSink
{
    public CurrentLine Current => describeLine();

    public CancellationToken LineEnds => replica.LineEnds;

    public ulong ReceivedSequence => replica.ReceivedSequence;

    public ulong FlushedSequence => replica.FlushedSequence;

    public RecoveryPointId? LastPoint => replica.Points is [.., { } newest] ? newest.Id : null;

    public ValueTask<AppendOutcome> AppendAsync(ReadOnlyMemory<byte> record, CancellationToken cancellationToken) =>
        replica.AppendAsync(record, cancellationToken);

    public bool HoldsSeed => holdsSeed;

    /// <summary>Waits for the seed: what is compared before it is there would be compared with nothing.</summary>
    public async ValueTask<IBlockDevice?> OpenNewestAsync(DiskId disk, CancellationToken cancellationToken)
    {
        await replica.WaitForSeedAsync(cancellationToken);
        return await replica.OpenNewestAsync(disk, cancellationToken);
    }

    public ValueTask<ulong> FlushAsync(CancellationToken cancellationToken) => replica.FlushAsync(cancellationToken);
}
