using System.Buffers.Binary;
using System.Text;
using Understudy.Blocks;
using Understudy.Nbd.Protocol;

namespace Understudy.Nbd.Client;

/// <summary>
/// Takes one reply (or one chunk of a structured reply) off the connection and puts it where it belongs. Anything that is
/// not exactly what the protocol allows for the request ends the connection: the stream cannot be trusted to be in step.
/// </summary>
internal sealed class NbdReplyReader(NbdInput input, NbdExportFacts facts, NbdInFlightTable table, string subject)
{
    private readonly NbdInput _input = input;
    private readonly NbdExportFacts _facts = facts;
    private readonly NbdInFlightTable _table = table;
    private readonly string _subject = subject;
    private readonly byte[] _chunkHeader = new byte[ChunkHeader.SizeBytes];

    /// <summary>False when the server closed the connection between two replies.</summary>
    public async ValueTask<bool> ReadOneAsync(CancellationToken cancellationToken)
    {
        // Both kinds of header start with a magic and are at least as long as the simple one.
        ReadOnlyMemory<byte> start = await _input.TryTakeAsync(SimpleReply.SizeBytes, cancellationToken);
        if (start.IsEmpty)
        {
            return false;
        }

        switch (BinaryPrimitives.ReadUInt32BigEndian(start.Span))
        {
            case NbdProtocol.SimpleReplyMagic:
                await TakeSimpleAsync(SimpleReply.Read(start.Span), cancellationToken);
                return true;
            case NbdProtocol.StructuredReplyMagic when _facts.StructuredReplies:
                await TakeChunkAsync(await ReadChunkHeaderAsync(start, cancellationToken), cancellationToken);
                return true;
            default:
                throw NbdFault.Nonsense(_subject, "a reply with a wrong magic");
        }
    }

    private async ValueTask<ChunkHeader> ReadChunkHeaderAsync(ReadOnlyMemory<byte> start, CancellationToken cancellationToken)
    {
        start.CopyTo(_chunkHeader);
        await _input.FillAsync(_chunkHeader.AsMemory(start.Length), cancellationToken);
        return ChunkHeader.Read(_chunkHeader);
    }

    private async ValueTask TakeSimpleAsync(SimpleReply reply, CancellationToken cancellationToken)
    {
        NbdOperation operation = Find(reply.Cookie);
        operation.Note(reply.Error, text: null);
        if (reply.Error == NbdError.None)
        {
            bool readAllowed = !_facts.StructuredReplies;
            if (operation.Command == NbdCommand.BlockStatus || (operation.Command == NbdCommand.Read && !readAllowed))
            {
                throw NbdFault.Nonsense(_subject, $"a simple reply to {operation.Command}");
            }

            if (operation.Command == NbdCommand.Read)
            {
                Require(operation.Place((ulong)operation.Offset, operation.Length, out Memory<byte> part), "data twice");
                await _input.FillAsync(part, cancellationToken);
            }
        }

        Complete(operation);
    }

    private async ValueTask TakeChunkAsync(ChunkHeader chunk, CancellationToken cancellationToken)
    {
        NbdOperation operation = Find(chunk.Cookie);
        Require(operation.CountChunk(), "no end of chunks to one request");
        switch (chunk.Type)
        {
            case ChunkType.None:
                Require(chunk.Length == 0 && chunk.IsDone, "an empty chunk that is not the last");
                break;
            case ChunkType.OffsetData:
                await TakeDataAsync(operation, chunk, cancellationToken);
                break;
            case ChunkType.OffsetHole:
                await TakeHoleAsync(operation, chunk, cancellationToken);
                break;
            case ChunkType.BlockStatus:
                await TakeStatusAsync(operation, chunk, cancellationToken);
                break;
            default:
                Require(chunk.IsError, $"an unknown chunk type {(ushort)chunk.Type}");
                await TakeErrorAsync(operation, chunk, cancellationToken);
                break;
        }

        if (chunk.IsDone)
        {
            Complete(operation);
        }
    }

    private async ValueTask TakeDataAsync(NbdOperation operation, ChunkHeader chunk, CancellationToken cancellationToken)
    {
        Require(chunk.Length > 8, "a data chunk without data");
        ulong offset = BinaryPrimitives.ReadUInt64BigEndian((await _input.TakeAsync(8, cancellationToken)).Span);
        Require(operation.Place(offset, chunk.Length - 8L, out Memory<byte> part), "data that was not asked for");
        await _input.FillAsync(part, cancellationToken);
    }

    private async ValueTask TakeHoleAsync(NbdOperation operation, ChunkHeader chunk, CancellationToken cancellationToken)
    {
        Require(chunk.Length == 12, "a hole chunk of a wrong length");
        ReadOnlyMemory<byte> hole = await _input.TakeAsync(12, cancellationToken);
        ulong offset = BinaryPrimitives.ReadUInt64BigEndian(hole.Span);
        uint length = BinaryPrimitives.ReadUInt32BigEndian(hole.Span[8..]);
        Require(operation.Place(offset, length, out Memory<byte> part), "a hole that was not asked for");
        part.Span.Clear();
    }

    private async ValueTask TakeStatusAsync(NbdOperation operation, ChunkHeader chunk, CancellationToken cancellationToken)
    {
        long extents = (chunk.Length - 4L) / 8;
        Require(
            operation.Status is not null && (chunk.Length - 4L) % 8 == 0 && extents is > 0 and <= NbdLimits.MaxStatusExtents,
            "a block status of a wrong length");
        StatusSink status = operation.Status!; // Checked in the line above.
        uint context = BinaryPrimitives.ReadUInt32BigEndian((await _input.TakeAsync(4, cancellationToken)).Span);
        bool mine = context == status.ContextId;
        Require(!mine || !status.Seen, "a block status twice");
        for (; extents > 0; extents--)
        {
            ReadOnlyMemory<byte> descriptor = await _input.TakeAsync(8, cancellationToken);
            uint length = BinaryPrimitives.ReadUInt32BigEndian(descriptor.Span);
            Require(length > 0, "an empty extent");
            if (mine)
            {
                status.Add(length, BinaryPrimitives.ReadUInt32BigEndian(descriptor.Span[4..]));
            }
        }

        status.Seen |= mine;
    }

    private async ValueTask TakeErrorAsync(NbdOperation operation, ChunkHeader chunk, CancellationToken cancellationToken)
    {
        Require(chunk.Length is >= 6 and <= 6 + NbdLimits.MaxStringBytes + 8, "an error chunk of a wrong length");
        ReadOnlyMemory<byte> head = await _input.TakeAsync(6, cancellationToken);
        NbdError error = (NbdError)BinaryPrimitives.ReadUInt32BigEndian(head.Span);
        int textLength = BinaryPrimitives.ReadUInt16BigEndian(head.Span[4..]);
        Require(error != NbdError.None, "an error chunk without an error");
        Require(textLength <= NbdLimits.MaxStringBytes && textLength <= chunk.Length - 6, "an error text of a wrong length");
        operation.Note(error, Encoding.UTF8.GetString((await _input.TakeAsync(textLength, cancellationToken)).Span));
        await _input.SkipAsync(chunk.Length - 6 - textLength, cancellationToken);
    }

    private NbdOperation Find(ulong cookie) =>
        _table.Find(cookie) ?? throw NbdFault.Nonsense(_subject, "a reply to nothing that was asked");

    private void Complete(NbdOperation operation)
    {
        _table.Remove(operation);
        if (!operation.Finish(_subject))
        {
            StorageException fault = NbdFault.Nonsense(_subject, $"a reply to {operation.Command} that is not whole");
            operation.Fail(fault);
            throw fault;
        }
    }

    private void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw NbdFault.Nonsense(_subject, otherwise);
        }
    }
}
