using System.Globalization;
using System.Text;

namespace Understudy.Replication.Wire;

/// <summary>
/// The first line each way, in plain text, so that any tool shows who speaks what:
/// <c>UNDERSTUDY 1 0.1.0\n</c> = product, protocol version, software version (for people only).
/// </summary>
public sealed record Banner(int ProtocolVersion, string Software)
{
    private const string Product = "UNDERSTUDY";

    private static ReadOnlySpan<byte> Beginning => "UNDERSTUDY "u8;

    public byte[] Encode()
    {
        string line = string.Create(CultureInfo.InvariantCulture, $"{Product} {ProtocolVersion} {Software}\n");
        byte[] bytes = Encoding.ASCII.GetBytes(line);
        if (bytes.Length > ProtocolLimits.BannerBytes || line.AsSpan(0, line.Length - 1).ContainsAnyExceptInRange(' ', '~'))
        {
            throw new ArgumentException($"'{Software}' does not fit a banner line.");
        }

        return bytes;
    }

    /// <summary>Whether these bytes, still without their line feed, can become a banner; says no as early as it can.</summary>
    public static bool CanBegin(ReadOnlySpan<byte> bytes)
    {
        int compared = Math.Min(bytes.Length, Beginning.Length);
        return bytes[..compared].SequenceEqual(Beginning[..compared])
            && !bytes.ContainsAnyExceptInRange((byte)' ', (byte)'~');
    }

    /// <summary>Reads a line without its line feed; null when it is no banner of ours.</summary>
    public static Banner? TryParse(ReadOnlySpan<byte> line)
    {
        if (line.Length >= ProtocolLimits.BannerBytes || line.ContainsAnyExceptInRange((byte)' ', (byte)'~'))
        {
            return null;
        }

        string[] words = Encoding.ASCII.GetString(line).Split(' ', 3);
        return words.Length == 3
            && words[0] == Product
            && words[2].Length > 0
            && int.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out int version)
                ? new Banner(version, words[2])
                : null;
    }
}
