using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Receiving;

/// <summary>Where received records go: the replica, as the receiver sees it.</summary>
public interface IReplicaSink
{
    /// <summary>The only line from which records are taken, and what a source on another one has to know of it.</summary>
    CurrentLine Current { get; }

    /// <summary>Cancelled when <see cref="Current"/> is not what it was, or the replica is being opened anew: the session
    /// that waits for records ends at once and says so. Taken before <see cref="Current"/> is read.</summary>
    CancellationToken LineEnds { get; }

    ulong ReceivedSequence { get; }

    ulong FlushedSequence { get; }

    /// <summary>The newest listed recovery point; null while there is none.</summary>
    RecoveryPointId? LastPoint { get; }

    /// <summary>Verifies and appends one whole record. The memory is the caller's again when the call has returned.</summary>
    ValueTask<AppendOutcome> AppendAsync(ReadOnlyMemory<byte> record, CancellationToken cancellationToken);

    /// <summary>The replica began with content that no source has sent it.</summary>
    bool HoldsSeed { get; }

    /// <summary>What the replica holds of a disk now, be it a point or not; null when it has no such disk. Everything received
    /// has been flushed. Disposed by the caller.</summary>
    ValueTask<IBlockDevice?> OpenNewestAsync(DiskId disk, CancellationToken cancellationToken);

    /// <summary>Makes everything received durable and returns up to where that is. Only this number is ever acknowledged.</summary>
    ValueTask<ulong> FlushAsync(CancellationToken cancellationToken);
}

/// <summary>Finds the replica that a source asks for, or says why it may not have it.</summary>
public interface IReplicaDirectory
{
    /// <param name="hello">What the source claims.</param>
    /// <param name="agentId">Who it is, as its certificate proves.</param>
    ValueTask<DirectoryAnswer> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken);
}

/// <summary>A closed set: the replica, or a refusal.</summary>
public abstract record DirectoryAnswer
{
    private DirectoryAnswer()
    {
    }

    public sealed record Found(IReplicaSink Sink) : DirectoryAnswer;

    public sealed record Refused(Refusal Refusal) : DirectoryAnswer;
}
