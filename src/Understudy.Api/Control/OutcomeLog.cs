using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Understudy.Api.Json;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>
/// The outcomes of the last operations, durable before they are answered. A text file: each line is eight hexadecimal
/// digits of CRC-32C over the rest, a space, and JSON. An incomplete last line is the trace of a crash before the answer
/// and is cut off; a bad line with good ones after it is damage and stops the agent. At twice the kept number the file is
/// written anew with the newest and renamed into place. After a failed write or flush nothing in the file's cache is
/// believed: the next outcome is kept in the file opened and read anew.
/// </summary>
public sealed class OutcomeLog : IAsyncDisposable
{
    /// <summary>The vault asks again within minutes; this many operations take far longer than that.</summary>
    public const int Kept = 1000;

    private const string Name = "outcomes.log";
    private const string NewName = "outcomes.new";
    private const int MaxFileBytes = 256 << 20;

    private readonly IFileStore _store;
    private readonly AsyncGate _writing = new();
    private readonly Lock _lock = new(); // guards _outcomes and _order
    private readonly Dictionary<OperationId, Outcome> _outcomes = [];
    private readonly Queue<OperationId> _order = [];
    private readonly ILogger _logger;
    private IStoreFile _file;
    private long _length;
    private int _lines;
    private bool _isSuspect; // inside _writing

    private OutcomeLog(IFileStore store, IStoreFile file, ILogger logger)
    {
        _store = store;
        _file = file;
        _logger = logger;
    }

    public static async ValueTask<OutcomeLog> OpenAsync(IFileStore store, ILogger logger, CancellationToken cancellationToken)
    {
        OutcomeLog log = new(store, await OpenFileAsync(store, cancellationToken), logger);
        log._isSuspect = !await log.LoadAsync(cancellationToken); // An agent starts on a full disk too.
        return log;
    }

    public Outcome? Find(OperationId operation)
    {
        lock (_lock)
        {
            return _outcomes.GetValueOrDefault(operation);
        }
    }

    /// <summary>Durable when it returns. Keeping one that is kept already changes nothing.</summary>
    public async ValueTask KeepAsync(OperationId operation, Outcome outcome, CancellationToken cancellationToken)
    {
        using (await _writing.EnterAsync(cancellationToken))
        {
            if (_isSuspect)
            {
                await ReopenAsync(cancellationToken);
            }

            if (Find(operation) is not null)
            {
                return;
            }

            _isSuspect = true;
            await AppendAsync(operation, outcome, cancellationToken);
            _isSuspect = false;
        }
    }

    public ValueTask DisposeAsync() => _file.DisposeAsync();

    private static async ValueTask<IStoreFile> OpenFileAsync(IFileStore store, CancellationToken cancellationToken)
    {
        await store.DeleteAsync(NewName, cancellationToken);
        IStoreFile file = await store.OpenAsync(Name, FileOpen.OpenOrCreate, cancellationToken);
        await store.FlushFolderAsync("", cancellationToken);
        return file;
    }

    private async ValueTask ReopenAsync(CancellationToken cancellationToken)
    {
        await _file.DisposeAsync();
        _file = await OpenFileAsync(_store, cancellationToken);
        if (!await LoadAsync(cancellationToken))
        {
            throw new StorageException(FaultKind.Full, Name, "what it holds cannot be made durable", "Free space on its file system.");
        }

        _isSuspect = false;
    }

    private async ValueTask AppendAsync(OperationId operation, Outcome outcome, CancellationToken cancellationToken)
    {
        byte[] line = Encode(operation, outcome);
        await _file.WriteAsync(_length, line, cancellationToken);
        await _file.FlushAsync(cancellationToken);
        _length += line.Length;
        _lines++;
        Remember(operation, outcome);
        if (_lines >= 2 * Kept)
        {
            await RewriteAsync(cancellationToken);
        }
    }

    /// <summary>False when what it holds could not be made durable for want of space: nothing is added before it has been.</summary>
    private async ValueTask<bool> LoadAsync(CancellationToken cancellationToken)
    {
        _lines = 0;
        if (_file.LengthBytes > MaxFileBytes)
        {
            throw new StorageException(FaultKind.Corrupt, Name, $"is {_file.LengthBytes} bytes long", "Move it away; operations under way are then done again.");
        }

        byte[] content = new byte[_file.LengthBytes];
        int read = await _file.ReadAsync(0, content, cancellationToken);
        int position = 0;
        while (content.AsSpan(position, read - position).IndexOf((byte)'\n') is var end and >= 0
            && TryDecode(content.AsSpan(position, end), out OperationId operation, out Outcome? outcome))
        {
            Remember(operation, outcome!); // set when decoded
            _lines++;
            position += end + 1;
        }

        if (position < read)
        {
            if (content.AsSpan(position, read - position).IndexOf((byte)'\n') is var newline and >= 0 && newline + 1 < read - position)
            {
                throw new StorageException(FaultKind.Corrupt, Name, $"line at byte {position} is damaged", "Move the file away; operations under way are then done again.");
            }

            ControlLog.OutcomeLogCut(_logger, read - position);
            await _file.SetLengthAsync(position, cancellationToken);
        }

        _length = position;
        return await TryMakeDurableAsync(content.AsMemory(0, position), cancellationToken);
    }

    /// <summary>
    /// What was read is answered from now on, and may not be durable: its writer was killed, or its flush failed. After a failed
    /// flush the kernel may hold the lines as clean, and a flush alone would write nothing: at the next power loss there would be a hole
    /// before the lines that came later. So they are written once more, in place.
    /// </summary>
    private async ValueTask<bool> TryMakeDurableAsync(ReadOnlyMemory<byte> lines, CancellationToken cancellationToken)
    {
        try
        {
            if (lines.Length > 0)
            {
                await _file.WriteAsync(0, lines, cancellationToken);
            }

            await _file.FlushAsync(cancellationToken);
            return true;
        }
        catch (StorageException full) when (full.Kind == FaultKind.Full)
        {
            return false;
        }
    }

    private void Remember(OperationId operation, Outcome outcome)
    {
        lock (_lock)
        {
            if (_outcomes.TryAdd(operation, outcome))
            {
                _order.Enqueue(operation);
            }

            while (_order.Count > Kept)
            {
                _outcomes.Remove(_order.Dequeue());
            }
        }
    }

    private async ValueTask RewriteAsync(CancellationToken cancellationToken)
    {
        using MemoryStream content = new();
        int lines = 0;
        lock (_lock)
        {
            foreach (OperationId operation in _order)
            {
                content.Write(Encode(operation, _outcomes[operation]));
                lines++;
            }
        }

        await _store.DeleteAsync(NewName, cancellationToken);
        IStoreFile file = await _store.OpenAsync(NewName, FileOpen.New, cancellationToken);
        await file.WriteAsync(0, content.GetBuffer().AsMemory(0, (int)content.Length), cancellationToken);
        await file.FlushAsync(cancellationToken);
        await file.DisposeAsync();
        await _file.DisposeAsync();
        await _store.RenameAsync(NewName, Name, cancellationToken);
        await _store.FlushFolderAsync("", cancellationToken);
        _file = await _store.OpenAsync(Name, FileOpen.Existing, cancellationToken);
        _length = content.Length;
        _lines = lines;
    }

    private static byte[] Encode(OperationId operation, Outcome outcome)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(new KeptOutcome(operation, outcome.Body, outcome.Error), ApiJson.Default.KeptOutcome);
        byte[] line = new byte[9 + json.Length + 1];
        Encoding.ASCII.GetBytes(Crc32C.Compute(json).ToString("x8", CultureInfo.InvariantCulture) + " ", line);
        json.CopyTo(line, 9);
        line[^1] = (byte)'\n';
        return line;
    }

    private static bool TryDecode(ReadOnlySpan<byte> line, out OperationId operation, out Outcome? outcome)
    {
        operation = default;
        outcome = null;
        if (line.Length < 9
            || !uint.TryParse(line[..8], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint crc)
            || crc != Crc32C.Compute(line[9..]))
        {
            return false;
        }

        KeptOutcome? kept = JsonSerializer.Deserialize(line[9..], ApiJson.Default.KeptOutcome);
        operation = kept?.Operation ?? default;
        outcome = kept is null ? null : new Outcome(kept.Body, kept.Error);
        return outcome is not null;
    }
}

/// <summary>One line of the log.</summary>
public sealed record KeptOutcome(OperationId Operation, JsonElement? Body, AgentError? Error);
