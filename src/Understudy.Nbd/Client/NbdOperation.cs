using System.Threading.Tasks.Sources;
using Understudy.Blocks;
using Understudy.Nbd.Protocol;

namespace Understudy.Nbd.Client;

/// <summary>
/// One request in flight, used over and over. The sender fills it before it is published in the table; from then on only
/// the reader loop touches it, until it completes; then the sender takes the outcome and gives it back.
/// What a reply may look like is decided here, without I/O: <see cref="Place"/> and <see cref="Finish"/>.
/// </summary>
internal sealed class NbdOperation(int slot) : IValueTaskSource
{
    private const int SlotBits = 8;

    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private ulong _generation;
    private int _filledTo;
    private ExtentSet? _filledElsewhere;
    private int _chunks;
    private (NbdError Error, string? Text) _error;

    public int Slot { get; } = slot;

    /// <summary>Never the same twice on a connection, so that a reply to an older request is seen as nonsense.</summary>
    public ulong Cookie => (_generation << SlotBits) | (uint)Slot;

    public NbdCommand Command { get; private set; }

    public long Offset { get; private set; }

    public int Length { get; private set; }

    /// <summary>Where a read's data goes; the caller's own memory.</summary>
    public Memory<byte> Target { get; private set; }

    /// <summary>Where a block status goes, and of which context.</summary>
    public StatusSink? Status { get; private set; }

    public bool HasError => _error.Error != NbdError.None;

    public static int SlotOf(ulong cookie) => (int)(cookie & ((1 << SlotBits) - 1));

    public void Begin(NbdCommand command, long offset, int length, Memory<byte> target, StatusSink? status)
    {
        _core.Reset();
        _generation++;
        (Command, Offset, Length, Target, Status) = (command, offset, length, target, status);
        (_filledTo, _filledElsewhere, _chunks, _error) = (0, null, 0, default);
    }

    public ValueTask Completion => new(this, _core.Version);

    /// <summary>Whether one more chunk is still within reason.</summary>
    public bool CountChunk() => ++_chunks <= NbdLimits.MaxChunks;

    /// <summary>
    /// The part of the target that a data or hole chunk covers; false when it is outside the request or comes twice.
    /// Servers send chunks in order, which costs one comparison; others are tracked.
    /// </summary>
    public bool Place(ulong offset, long length, out Memory<byte> part)
    {
        part = default;
        long start = unchecked((long)offset - Offset);
        if (Command != NbdCommand.Read || start < 0 || length <= 0 || length > Length - start || start < _filledTo)
        {
            return false;
        }

        ByteRange range = new(start, length);
        if (start == _filledTo && _filledElsewhere is null)
        {
            _filledTo += (int)length;
        }
        else
        {
            _filledElsewhere ??= [];
            if (_filledElsewhere.Overlaps(range))
            {
                return false;
            }

            _filledElsewhere.Add(range);
        }

        part = Target.Slice((int)start, (int)length);
        return true;
    }

    /// <summary>The first error a server reports is the one that is told.</summary>
    public void Note(NbdError error, string? text) => _error = HasError ? _error : (error, text);

    /// <summary>The last chunk has come. False when a read's data is not whole although no error was reported.</summary>
    public bool Finish(string subject)
    {
        if (HasError)
        {
            _core.SetException(NbdFault.FromServer(
                subject, $"{Command} of {Length} bytes at {Offset}", _error.Error, _error.Text));
            return true;
        }

        bool whole = Command switch
        {
            NbdCommand.Read => _filledTo + (_filledElsewhere?.TotalBytes ?? 0) == Length,
            NbdCommand.BlockStatus => Status!.Seen,
            _ => true,
        };
        if (whole)
        {
            _core.SetResult(true);
        }

        return whole;
    }

    public void Fail(Exception fault) => _core.SetException(fault);

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}

/// <summary>Collects the descriptors of one context for one block-status request.</summary>
internal sealed class StatusSink(uint contextId)
{
    private readonly List<(long LengthBytes, uint Flags)> _descriptors = [];

    public uint ContextId { get; } = contextId;

    public bool Seen { get; set; }

    public IReadOnlyList<(long LengthBytes, uint Flags)> Descriptors => _descriptors;

    public void Add(uint length, uint flags) => _descriptors.Add((length, flags));
}
