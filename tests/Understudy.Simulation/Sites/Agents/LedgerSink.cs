using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Protection.Target;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;
using Understudy.Simulation.Sites.Checkers;

namespace Understudy.Simulation.Sites.Agents;

/// <summary>What the receiver puts records into, with the checkers looking over its shoulder.</summary>
internal sealed class LedgerSink(IReplicaSink inner, ReplicaHost host, PointLedger ledger, TaskCompletionSource died) : IReplicaSink
{
    private readonly IReplicaSink _inner = inner;
    private readonly ReplicaHost _host = host;
    private readonly PointLedger _ledger = ledger;
    private readonly TaskCompletionSource _died = died;

    public CurrentLine Current => _inner.Current;

    public CancellationToken LineEnds => _inner.LineEnds;

    public ulong ReceivedSequence => _inner.ReceivedSequence;

    public ulong FlushedSequence => _inner.FlushedSequence;

    public RecoveryPointId? LastPoint => _inner.LastPoint;

    public bool HoldsSeed => _inner.HoldsSeed;

    public async ValueTask<AppendOutcome> AppendAsync(ReadOnlyMemory<byte> record, CancellationToken cancellationToken)
    {
        RecordHeader.Read(record.Span, out RecordHeader header);
        if (header.Kind == RecordKind.Geometry)
        {
            NoteDisks(header, record.Span[RecordHeader.SizeBytes..]);
        }

        LineId? before = _host.OpenReplica?.Line; // Its own: the token is a line ahead until that line is minted in the replica.
        AppendOutcome outcome = await GuardAsync(_inner.AppendAsync(record, cancellationToken));
        if (outcome is AppendOutcome.Accepted && header.Line != before && header.Line != _host.OpenReplica?.Line)
        {
            _ledger.Violate("lines", $"record {header.Sequence} of line {header.Line} was accepted, the replica's is {before}");
        }

        return outcome;
    }

    public async ValueTask<ulong> FlushAsync(CancellationToken cancellationToken)
    {
        ulong flushed = await GuardAsync(_inner.FlushAsync(cancellationToken));
        _ledger.Look(_host);
        return flushed;
    }

    public ValueTask<IBlockDevice?> OpenNewestAsync(DiskId disk, CancellationToken cancellationToken) => _inner.OpenNewestAsync(disk, cancellationToken);

    private void NoteDisks(RecordHeader header, ReadOnlySpan<byte> payload)
    {
        byte[] body = new byte[header.LengthBytes];
        using var codec = new RecordCodec();
        if (codec.TryDecode(header, payload, body) && GeometryBody.TryRead(body) is { } disks)
        {
            _ledger.NoteDisks(disks);
        }
    }

    /// <summary>A replica that failed is closed for good: the agent ends, and the next one opens it anew.</summary>
    private async ValueTask<T> GuardAsync<T>(ValueTask<T> call)
    {
        try
        {
            return await call;
        }
        catch (StorageException fault) when (fault.Kind != FaultKind.Full && !(fault.Kind == FaultKind.Closed && _ledger.IsEnding))
        {
            // One that is being removed is closed under its connection, and that is all.
            _died.TrySetException(fault);
            throw;
        }
    }
}
