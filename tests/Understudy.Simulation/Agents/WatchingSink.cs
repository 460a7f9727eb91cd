using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;

namespace Understudy.Simulation.Agents;

/// <summary>
/// What the receiver puts records into: the replica, with the checkers looking over its shoulder. Whatever a flush
/// answers may be acknowledged to the source, so it counts as promised from that moment.
/// </summary>
internal sealed class WatchingSink(ReplicaKeeper keeper, Action<StorageException> onDeath) : IReplicaSink
{
    private readonly ReplicaKeeper _keeper = keeper;
    private readonly Action<StorageException> _onDeath = onDeath;

    public CurrentLine Current => new(_keeper.Replica.Line);

    public CancellationToken LineEnds => _keeper.Replica.LineEnds;

    public ulong ReceivedSequence => _keeper.Replica.ReceivedSequence;

    public ulong FlushedSequence => _keeper.Replica.FlushedSequence;

    public RecoveryPointId? LastPoint => _keeper.Replica.Points is [.., var newest] ? newest.Id : null;

    public async ValueTask<AppendOutcome> AppendAsync(ReadOnlyMemory<byte> record, CancellationToken cancellationToken)
    {
        RecordHeader.Read(record.Span, out RecordHeader header);
        LineId owner = _keeper.Watch.Line;
        bool inDoubt = _keeper.Watch.LineInDoubt is not null;
        AppendOutcome outcome = await GuardAsync(_keeper.Replica.AppendAsync(record, cancellationToken));
        if (outcome is AppendOutcome.Accepted)
        {
            if (header.Line != owner && !inDoubt)
            {
                _keeper.Watch.Violate("lines", $"record {header.Sequence} of line {header.Line} was accepted, the owner is {owner}");
            }

            _keeper.Watch.Accepted(header);
        }

        return outcome;
    }

    public bool HoldsSeed => _keeper.Watch.Seed is not null;

    /// <summary>A read that fails leaves the replica as it was.</summary>
    public async ValueTask<IBlockDevice?> OpenNewestAsync(DiskId disk, CancellationToken cancellationToken)
    {
        await _keeper.Replica.WaitForSeedAsync(cancellationToken);
        return await _keeper.Replica.OpenNewestAsync(disk, cancellationToken);
    }

    public async ValueTask<ulong> FlushAsync(CancellationToken cancellationToken)
    {
        ulong flushed = await GuardAsync(_keeper.Replica.FlushAsync(cancellationToken));
        _keeper.Watch.Promise(flushed);
        _keeper.Watch.Look(_keeper.Replica);
        return flushed;
    }

    /// <summary>A replica that failed is closed for good: the agent has to open it anew.</summary>
    private async ValueTask<T> GuardAsync<T>(ValueTask<T> call)
    {
        try
        {
            return await call;
        }
        catch (StorageException fault) when (fault.Kind != FaultKind.Full)
        {
            _onDeath(fault);
            throw;
        }
    }
}
