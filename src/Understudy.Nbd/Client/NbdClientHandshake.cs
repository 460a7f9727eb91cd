using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Nbd.Protocol;

namespace Understudy.Nbd.Client;

/// <summary>
/// The client's side of the fixed newstyle handshake, in this order: structured replies, metadata contexts, OPT_GO. A
/// refusal of the export is an error; a refusal of structured replies or of a context only means there are none.
/// </summary>
internal sealed class NbdClientHandshake(Stream stream, NbdInput input, string subject)
{
    private const uint DefaultMaxPayloadBytes = NbdLimits.MaxPayloadBytes;

    private readonly Stream _stream = stream;
    private readonly NbdInput _input = input;
    private readonly string _subject = subject;

    private delegate void OptionReplyHandler(NbdOptionReply type, ReadOnlySpan<byte> data);

    public async ValueTask<NbdExportFacts> RunAsync(NbdClientOptions options, CancellationToken cancellationToken)
    {
        await GreetAsync(cancellationToken);
        bool structured = await AskAsync(NbdOption.StructuredReply, new(), static (_, _) => { }, cancellationToken) is null;
        Dictionary<string, uint> contexts = structured ? await AskContextsAsync(options, cancellationToken) : [];
        return await GoAsync(options.Export, structured, contexts, cancellationToken);
    }

    private async ValueTask GreetAsync(CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> greeting = await _input.TakeAsync(18, cancellationToken);
        if (BinaryPrimitives.ReadUInt64BigEndian(greeting.Span) != NbdProtocol.GreetingMagic
            || BinaryPrimitives.ReadUInt64BigEndian(greeting.Span[8..]) != NbdProtocol.OptionMagic)
        {
            throw NbdFault.Nonsense(_subject, "no newstyle greeting");
        }

        HandshakeFlags offered = (HandshakeFlags)BinaryPrimitives.ReadUInt16BigEndian(greeting.Span[16..]);
        if ((offered & HandshakeFlags.FixedNewstyle) == 0)
        {
            throw NbdFault.Nonsense(_subject, "the server does not speak fixed newstyle");
        }

        HandshakeFlags mine = offered & (HandshakeFlags.FixedNewstyle | HandshakeFlags.NoZeroes);
        await _stream.WriteAsync(new OptionData().U32((uint)mine).Bytes, cancellationToken);
    }

    private async ValueTask<Dictionary<string, uint>> AskContextsAsync(
        NbdClientOptions options, CancellationToken cancellationToken)
    {
        List<string> wanted = [NbdProtocol.AllocationContext, .. options.Contexts];
        OptionData data = new OptionData().CountedText(options.Export).U32((uint)wanted.Count);
        foreach (string context in wanted)
        {
            data.CountedText(context);
        }

        Dictionary<string, uint> granted = new(StringComparer.Ordinal);
        await AskAsync(
            NbdOption.SetMetaContext,
            data,
            (type, reply) =>
            {
                OptionReader reader = new(reply);
                if (type != NbdOptionReply.MetaContext || !reader.TryU32(out uint id)
                    || reader.RestAsText() is var name && (!wanted.Contains(name) || granted.ContainsValue(id)))
                {
                    throw NbdFault.Nonsense(_subject, "a metadata context that was not asked for");
                }

                granted[name] = id;
            },
            cancellationToken);
        return granted;
    }

    private async ValueTask<NbdExportFacts> GoAsync(
        string export, bool structured, Dictionary<string, uint> contexts, CancellationToken cancellationToken)
    {
        (ulong Size, ushort Flags)? found = null;
        (uint Min, uint Max) blocks = (1, DefaultMaxPayloadBytes);
        Refusal? refusal = await AskAsync(
            NbdOption.Go,
            new OptionData().CountedText(export).U16(1).U16((ushort)NbdInfo.BlockSize),
            (_, reply) =>
            {
                OptionReader reader = new(reply);
                bool whole = reader.TryU16(out ushort info);
                if (whole && (NbdInfo)info == NbdInfo.Export)
                {
                    whole = reader.TryU64(out ulong size) & reader.TryU16(out ushort flags);
                    found = (size, flags);
                }
                else if (whole && (NbdInfo)info == NbdInfo.BlockSize)
                {
                    whole = reader.TryU32(out uint min) & reader.TryU32(out uint _) & reader.TryU32(out uint max);
                    blocks = (min, max);
                }

                if (!whole)
                {
                    throw NbdFault.Nonsense(_subject, "an information that ends early");
                }
            },
            cancellationToken);
        if (refusal is { } refused)
        {
            throw Refused(refused);
        }

        return found is { } facts
            ? NbdExportFacts.Checked(_subject, facts.Size, facts.Flags, blocks, structured, contexts)
            : throw NbdFault.Nonsense(_subject, "the export was granted without its size");
    }

    /// <summary>Sends one option and takes its replies to the end; null is an acknowledgement.</summary>
    private async ValueTask<Refusal?> AskAsync(
        NbdOption option, OptionData data, OptionReplyHandler onReply, CancellationToken cancellationToken)
    {
        byte[] message = new byte[OptionHeader.SizeBytes + data.Bytes.Length];
        new OptionHeader(NbdProtocol.OptionMagic, option, (uint)data.Bytes.Length).Write(message);
        data.Bytes.CopyTo(message.AsMemory(OptionHeader.SizeBytes));
        await _stream.WriteAsync(message, cancellationToken);

        for (int replies = 0; replies < NbdLimits.MaxOptionReplies; replies++)
        {
            OptionReplyHeader header = OptionReplyHeader.Read(
                (await _input.TakeAsync(OptionReplyHeader.SizeBytes, cancellationToken)).Span);
            if (header.Magic != NbdProtocol.OptionReplyMagic || header.Option != option
                || header.Length > NbdLimits.MaxOptionBytes)
            {
                throw NbdFault.Nonsense(_subject, $"a wrong reply to option {option}");
            }

            byte[] reply = new byte[header.Length];
            await _input.FillAsync(reply, cancellationToken);
            if (header.Type == NbdOptionReply.Ack)
            {
                return null;
            }

            if (((uint)header.Type & NbdProtocol.ReplyErrorBit) != 0)
            {
                return new Refusal(header.Type, new OptionReader(reply).RestAsText());
            }

            onReply(header.Type, reply);
        }

        throw NbdFault.Nonsense(_subject, $"no end of replies to option {option}");
    }

    private StorageException Refused(Refusal refusal)
    {
        (FaultKind kind, string why, string? remedy) = refusal.Type switch
        {
            NbdOptionReply.ErrorUnknown => (FaultKind.Missing, "the NBD server has no such export", (string?)null),
            NbdOptionReply.ErrorPolicy => (FaultKind.Denied, "the NBD server refuses this export", null),
            NbdOptionReply.ErrorTlsRequired => (FaultKind.Denied, "the NBD server asks for TLS", "Use its UNIX socket."),
            NbdOptionReply.ErrorShutdown => (FaultKind.Io, "the NBD server is shutting down", null),
            _ => (FaultKind.Io, $"the NBD server refused the export ({refusal.Type})", null),
        };
        return new StorageException(kind, _subject, refusal.Text.Length == 0 ? why : $"{why}: {refusal.Text}", remedy);
    }

    private readonly record struct Refusal(NbdOptionReply Type, string Text);
}
