using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Understudy.Nbd.Protocol;

/// <summary>Builds the data of options and their replies (handshake only: allocates).</summary>
internal sealed class OptionData
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    public ReadOnlyMemory<byte> Bytes => _bytes.WrittenMemory;

    public OptionData U16(ushort value)
    {
        BinaryPrimitives.WriteUInt16BigEndian(_bytes.GetSpan(2), value);
        _bytes.Advance(2);
        return this;
    }

    public OptionData U32(uint value)
    {
        BinaryPrimitives.WriteUInt32BigEndian(_bytes.GetSpan(4), value);
        _bytes.Advance(4);
        return this;
    }

    public OptionData U64(ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(_bytes.GetSpan(8), value);
        _bytes.Advance(8);
        return this;
    }

    /// <summary>Without a length: for strings that end with the data.</summary>
    public OptionData Text(string text)
    {
        _bytes.Write(Encoding.UTF8.GetBytes(text));
        return this;
    }

    /// <summary>With its length before it.</summary>
    public OptionData CountedText(string text) => U32((uint)Encoding.UTF8.GetByteCount(text)).Text(text);

    public OptionData Raw(ReadOnlySpan<byte> bytes)
    {
        _bytes.Write(bytes);
        return this;
    }
}

/// <summary>Reads the data of options and their replies; every miss is false, never an exception.</summary>
internal ref struct OptionReader(ReadOnlySpan<byte> data)
{
    private ReadOnlySpan<byte> _rest = data;

    public readonly bool AtEnd => _rest.IsEmpty;

    public bool TryU16(out ushort value)
    {
        bool ok = BinaryPrimitives.TryReadUInt16BigEndian(_rest, out value);
        _rest = ok ? _rest[2..] : _rest;
        return ok;
    }

    public bool TryU32(out uint value)
    {
        bool ok = BinaryPrimitives.TryReadUInt32BigEndian(_rest, out value);
        _rest = ok ? _rest[4..] : _rest;
        return ok;
    }

    public bool TryU64(out ulong value)
    {
        bool ok = BinaryPrimitives.TryReadUInt64BigEndian(_rest, out value);
        _rest = ok ? _rest[8..] : _rest;
        return ok;
    }

    /// <summary>A string with its length before it; longer than the protocol allows is a miss.</summary>
    public bool TryCountedText(out string text)
    {
        text = "";
        if (!TryU32(out uint length) || length > NbdLimits.MaxStringBytes || length > _rest.Length)
        {
            return false;
        }

        text = Encoding.UTF8.GetString(_rest[..(int)length]);
        _rest = _rest[(int)length..];
        return true;
    }

    public readonly string RestAsText() => Encoding.UTF8.GetString(_rest);
}
