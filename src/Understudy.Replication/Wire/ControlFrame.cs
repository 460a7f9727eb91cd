using Understudy.Blocks.Identity;
using Understudy.Replication.Comparing;

namespace Understudy.Replication.Wire;

/// <summary>What the two sides say to each other beside the records. The numbers are on the wire.</summary>
public enum ControlType : byte
{
    Hello = 1,
    Welcome = 2,
    Refuse = 3,
    Ping = 4,
    Pong = 5,
    EndOfBatch = 6,
    Ack = 7,
    AskSums = 8,
    Sums = 9,
    Call = 10,
    Answer = 11,
}

/// <summary>Optional abilities. A side uses only what both have named; the target's WELCOME names what counts.</summary>
[Flags]
public enum ProtocolFeatures : uint
{
    None = 0,

    /// <summary>The target can be asked for the sums of what it holds.</summary>
    Comparison = 1,

    /// <summary>In WELCOME: the replica began with content that no source has sent it (a seed). Nothing of it may be taken for zeros.</summary>
    HoldsSeed = 2,
}

/// <summary>A closed set: a type that is not here ends the connection.</summary>
public abstract record ControlFrame
{
    private ControlFrame()
    {
    }

    /// <summary>Source to target, first frame: which replica, of which VM, written by which line.</summary>
    public sealed record Hello(ReplicaId Replica, VmId Vm, LineId Line, ProtocolFeatures Features) : ControlFrame;

    /// <summary>Target to source: go on with record <c>FlushedSequence + 1</c>.</summary>
    /// <param name="LastPoint">The newest listed recovery point; null while there is none.</param>
    /// <param name="WindowBytes">How many unacknowledged bytes the source may have out.</param>
    public sealed record Welcome(
        LineId Line,
        ulong FlushedSequence,
        RecoveryPointId? LastPoint,
        uint WindowBytes,
        TimeSpan SilenceLimit,
        ProtocolFeatures Features) : ControlFrame;

    /// <summary>Either way, at any time; the side that sent it closes the connection.</summary>
    public sealed record Refuse(Refusal Refusal) : ControlFrame;

    /// <summary>Source to target: are you there?</summary>
    public sealed record Ping(ulong Nonce) : ControlFrame;

    /// <summary>Target to source: the answer, or unasked (nonce 0) while a long write goes on.</summary>
    public sealed record Pong(ulong Nonce) : ControlFrame;

    /// <summary>Source to target: nothing follows for now; flush and acknowledge up to here.</summary>
    public sealed record EndOfBatch(ulong LastSequence) : ControlFrame;

    /// <summary>Source to target: the sums of what you hold of this, and of everything I have sent before.</summary>
    public sealed record AskSums(ComparedRange Range) : ControlFrame;

    /// <summary>Target to source: sums of neighbouring blocks, in answer to the oldest question; several to a question.</summary>
    /// <param name="Content">Of each block; empty when all of them are zeros. Without a sum: not comparable, send it.</param>
    public sealed record Sums(DiskId Disk, long OffsetBytes, int Blocks, ReadOnlyMemory<byte> Content) : ControlFrame
    {
        public bool IsZeros => Content.IsEmpty;

        public bool Equals(Sums? other) =>
            other is not null && (Disk, OffsetBytes, Blocks) == (other.Disk, other.OffsetBytes, other.Blocks) && Content.Span.SequenceEqual(other.Content.Span);

        public override int GetHashCode() => HashCode.Combine(Disk, OffsetBytes, Blocks);

        public static Sums OfZeros(DiskId disk, long offsetBytes, int blocks) => new(disk, offsetBytes, blocks, ReadOnlyMemory<byte>.Empty);
    }

    /// <summary>Target to source: everything up to here is durable.</summary>
    public sealed record Ack(ulong FlushedSequence) : ControlFrame;

    /// <summary>Target to source, first frame where it is the target that has dialled: this connection is for that replica.</summary>
    public sealed record Call(ReplicaId Replica, VmId Vm) : ControlFrame;

    /// <summary>Source to target: the call is taken. What follows is a connection as if the source had dialled it, banners included.</summary>
    public sealed record Answer : ControlFrame
    {
        public static Answer Value { get; } = new();
    }
}
