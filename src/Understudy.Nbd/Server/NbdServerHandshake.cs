using System.Buffers.Binary;
using System.Text;
using Understudy.Nbd.Protocol;

namespace Understudy.Nbd.Server;

/// <summary>
/// The server's side of the fixed newstyle handshake. Lengths are checked before anything is read by them; an option we do
/// not know is drained and refused, one that is too long ends the connection.
/// </summary>
internal sealed class NbdServerHandshake(Stream stream, NbdInput input, INbdExports exports)
{
    /// <summary>The id we give the one context there is.</summary>
    public const uint AllocationId = 1;

    private const string AllocationNamespace = "base:";

    private readonly Stream _stream = stream;
    private readonly NbdInput _input = input;
    private readonly INbdExports _exports = exports;
    private bool _structured;
    private bool _noZeroes;

    /// <summary>The export whose context was asked for last; a context counts only for its own export.</summary>
    private string? _contextOf;

    /// <summary>Null when the client left, or was sent away, without choosing.</summary>
    public async ValueTask<ChosenExport?> RunAsync(CancellationToken cancellationToken)
    {
        HandshakeFlags offered = HandshakeFlags.FixedNewstyle | HandshakeFlags.NoZeroes;
        await _stream.WriteAsync(
            new OptionData().U64(NbdProtocol.GreetingMagic).U64(NbdProtocol.OptionMagic).U16((ushort)offered).Bytes, cancellationToken);
        ReadOnlyMemory<byte> flags = await _input.TryTakeAsync(4, cancellationToken);
        if (flags.IsEmpty)
        {
            return null;
        }

        uint said = BinaryPrimitives.ReadUInt32BigEndian(flags.Span); // Twice as wide as the server's flags.
        HandshakeFlags mine = (HandshakeFlags)(ushort)said;
        if ((said & ~(uint)offered) != 0 || (mine & HandshakeFlags.FixedNewstyle) == 0)
        {
            throw new NbdPeerException($"the client does not speak fixed newstyle (flags {said:x})");
        }

        _noZeroes = (mine & HandshakeFlags.NoZeroes) != 0;
        for (int options = 0; options < NbdLimits.MaxOptions; options++)
        {
            ReadOnlyMemory<byte> start = await _input.TryTakeAsync(OptionHeader.SizeBytes, cancellationToken);
            if (start.IsEmpty)
            {
                return null;
            }

            OptionHeader header = OptionHeader.Read(start.Span);
            if (header.Magic != NbdProtocol.OptionMagic || header.Length > NbdLimits.MaxOptionBytes)
            {
                throw new NbdPeerException($"option {(uint)header.Option} with magic {header.Magic:x} and {header.Length} bytes");
            }

            byte[] data = new byte[header.Length];
            await _input.FillAsync(data, cancellationToken);
            (bool ends, ChosenExport? chosen) = await AnswerAsync(header.Option, data, cancellationToken);
            if (ends)
            {
                return chosen;
            }
        }

        throw new NbdPeerException($"more than {NbdLimits.MaxOptions} options");
    }

    private async ValueTask<(bool Ends, ChosenExport? Chosen)> AnswerAsync(
        NbdOption option, byte[] data, CancellationToken cancellationToken)
    {
        switch (option)
        {
            case NbdOption.ExportName:
                return (true, await GrantByNameAsync(Encoding.UTF8.GetString(data), cancellationToken));
            case NbdOption.Abort:
                await ReplyAsync(option, NbdOptionReply.Ack, new(), cancellationToken);
                return (true, null);
            case NbdOption.List:
                await ListAsync(data, cancellationToken);
                return (false, null);
            case NbdOption.Info:
                await GrantAsync(option, data, cancellationToken);
                return (false, null);
            case NbdOption.Go:
                ChosenExport? chosen = await GrantAsync(option, data, cancellationToken);
                return (chosen is not null, chosen);
            case NbdOption.StructuredReply:
                _structured = data.Length == 0;
                await ReplyAsync(option, _structured ? NbdOptionReply.Ack : NbdOptionReply.ErrorInvalid, new(), cancellationToken);
                return (false, null);
            case NbdOption.ListMetaContext or NbdOption.SetMetaContext:
                await ContextsAsync(option, data, cancellationToken);
                return (false, null);
            default:
                await RefuseAsync(option, NbdOptionReply.ErrorUnsupported, "this option is not spoken here", cancellationToken);
                return (false, null);
        }
    }

    private async ValueTask ListAsync(byte[] data, CancellationToken cancellationToken)
    {
        if (data.Length != 0)
        {
            await RefuseAsync(NbdOption.List, NbdOptionReply.ErrorInvalid, "the list takes no data", cancellationToken);
            return;
        }

        IReadOnlyList<string>? names = await _exports.ListAsync(cancellationToken);
        if (names is null)
        {
            await RefuseAsync(NbdOption.List, NbdOptionReply.ErrorPolicy, "exports are not listed here", cancellationToken);
            return;
        }

        foreach (string name in names)
        {
            await ReplyAsync(NbdOption.List, NbdOptionReply.Server, new OptionData().CountedText(name), cancellationToken);
        }

        await ReplyAsync(NbdOption.List, NbdOptionReply.Ack, new(), cancellationToken);
    }

    /// <summary>OPT_INFO and OPT_GO: the same answer, one of them ends the handshake.</summary>
    private async ValueTask<ChosenExport?> GrantAsync(NbdOption option, byte[] data, CancellationToken cancellationToken)
    {
        if (!TryReadGo(data, out string name, out bool wantsName, out bool wantsDescription))
        {
            await RefuseAsync(option, NbdOptionReply.ErrorInvalid, "name or information requests end early", cancellationToken);
            return null;
        }

        if (await _exports.FindAsync(name, cancellationToken) is not { } export)
        {
            await RefuseAsync(option, NbdOptionReply.ErrorUnknown, "there is no such export", cancellationToken);
            return null;
        }

        if (wantsName)
        {
            await ReplyAsync(option, NbdOptionReply.Info, new OptionData().U16((ushort)NbdInfo.Name).Text(name), cancellationToken);
        }

        if (wantsDescription && export.Description.Length > 0)
        {
            await ReplyAsync(
                option, NbdOptionReply.Info, new OptionData().U16((ushort)NbdInfo.Description).Text(export.Description), cancellationToken);
        }

        await ReplyAsync(
            option,
            NbdOptionReply.Info,
            new OptionData().U16((ushort)NbdInfo.BlockSize).U32(1).U32(Blocks.BlockSize.Bytes).U32(NbdLimits.MaxPayloadBytes),
            cancellationToken);
        await ReplyAsync(
            option,
            NbdOptionReply.Info,
            new OptionData().U16((ushort)NbdInfo.Export).U64((ulong)export.Device.SizeBytes).U16((ushort)FlagsOf(export)),
            cancellationToken);
        await ReplyAsync(option, NbdOptionReply.Ack, new(), cancellationToken);
        return Chosen(name, export);
    }

    /// <summary>The old way to choose: no answer but the export itself, and no way to refuse but to hang up.</summary>
    private async ValueTask<ChosenExport?> GrantByNameAsync(string name, CancellationToken cancellationToken)
    {
        if (name.Length > NbdLimits.MaxStringBytes || await _exports.FindAsync(name, cancellationToken) is not { } export)
        {
            throw new NbdPeerException("an export that does not exist was chosen by the old option");
        }

        OptionData answer = new OptionData().U64((ulong)export.Device.SizeBytes).U16((ushort)FlagsOf(export));
        await _stream.WriteAsync((_noZeroes ? answer : answer.Raw(new byte[124])).Bytes, cancellationToken);
        return Chosen(name, export);
    }

    private async ValueTask ContextsAsync(NbdOption option, byte[] data, CancellationToken cancellationToken)
    {
        _contextOf = option == NbdOption.SetMetaContext ? null : _contextOf;
        if (!_structured || !TryReadQueries(data, out string name, out List<string> queries))
        {
            await RefuseAsync(option, NbdOptionReply.ErrorInvalid, "needs structured replies and whole queries", cancellationToken);
            return;
        }

        if (await _exports.FindAsync(name, cancellationToken) is null)
        {
            await RefuseAsync(option, NbdOptionReply.ErrorUnknown, "there is no such export", cancellationToken);
            return;
        }

        bool list = option == NbdOption.ListMetaContext;
        if (queries.Contains(NbdProtocol.AllocationContext)
            || (list && (queries.Count == 0 || queries.Contains(AllocationNamespace))))
        {
            _contextOf = list ? _contextOf : name;
            await ReplyAsync(
                option,
                NbdOptionReply.MetaContext,
                new OptionData().U32(list ? 0 : AllocationId).Text(NbdProtocol.AllocationContext),
                cancellationToken);
        }

        await ReplyAsync(option, NbdOptionReply.Ack, new(), cancellationToken);
    }

    private static bool TryReadGo(ReadOnlySpan<byte> data, out string name, out bool wantsName, out bool wantsDescription)
    {
        (wantsName, wantsDescription) = (false, false);
        OptionReader reader = new(data);
        if (!reader.TryCountedText(out name) || !reader.TryU16(out ushort count))
        {
            return false;
        }

        for (; count > 0; count--)
        {
            if (!reader.TryU16(out ushort info))
            {
                return false;
            }

            wantsName |= (NbdInfo)info == NbdInfo.Name;
            wantsDescription |= (NbdInfo)info == NbdInfo.Description;
        }

        return reader.AtEnd;
    }

    private static bool TryReadQueries(ReadOnlySpan<byte> data, out string name, out List<string> queries)
    {
        queries = [];
        OptionReader reader = new(data);
        if (!reader.TryCountedText(out name) || !reader.TryU32(out uint count))
        {
            return false;
        }

        for (; count > 0; count--)
        {
            if (!reader.TryCountedText(out string query))
            {
                return false;
            }

            queries.Add(query);
        }

        return reader.AtEnd;
    }

    private TransmissionFlags FlagsOf(NbdExport export) =>
        TransmissionFlags.HasFlags | TransmissionFlags.SendFlush
        | (_structured ? TransmissionFlags.SendDontFragment : TransmissionFlags.None)
        | (export.Device.IsReadOnly
            ? TransmissionFlags.ReadOnly | TransmissionFlags.CanMultiConn
            : TransmissionFlags.SendFua | TransmissionFlags.SendTrim | TransmissionFlags.SendWriteZeroes);

    private ChosenExport Chosen(string name, NbdExport export) => new(name, export.Device, _structured, _contextOf == name);

    private ValueTask RefuseAsync(NbdOption option, NbdOptionReply why, string text, CancellationToken cancellationToken) =>
        ReplyAsync(option, why, new OptionData().Text(text), cancellationToken);

    private async ValueTask ReplyAsync(NbdOption option, NbdOptionReply type, OptionData data, CancellationToken cancellationToken)
    {
        byte[] message = new byte[OptionReplyHeader.SizeBytes + data.Bytes.Length];
        new OptionReplyHeader(NbdProtocol.OptionReplyMagic, option, type, (uint)data.Bytes.Length).Write(message);
        data.Bytes.CopyTo(message.AsMemory(OptionReplyHeader.SizeBytes));
        await _stream.WriteAsync(message, cancellationToken);
    }
}
