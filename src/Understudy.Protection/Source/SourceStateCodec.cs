using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Understudy.Blocks;
using Understudy.Protection.Durable;

namespace Understudy.Protection.Source;

/// <summary>
/// The state file: one line <c>understudy-source 1 &lt;bodyLength&gt; &lt;crc32c-hex&gt;</c>, then JSON of exactly that
/// length. Readable on the worst night, and never half-believed.
/// </summary>
public static class SourceStateCodec
{
    /// <summary>A state lists the VM's disks and one cycle; a megabyte is hundreds of times more than it needs.</summary>
    public const int MaxBytes = 1024 * 1024;

    private const string Product = "understudy-source";
    private const int Version = 1;
    private const int MaxHeaderBytes = 64;

    public static byte[] Encode(SourceState state)
    {
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(state, SourceStateJson.Default.SourceState);
        string header = string.Create(CultureInfo.InvariantCulture, $"{Product} {Version} {body.Length} {Crc32C.Compute(body):x8}\n");
        return [.. Encoding.ASCII.GetBytes(header), .. body];
    }

    /// <summary>Null when the bytes are no state of this version; <paramref name="defect"/> then says what is wrong.</summary>
    public static SourceState? TryDecode(ReadOnlySpan<byte> file, out string defect)
    {
        int end = file[..Math.Min(file.Length, MaxHeaderBytes)].IndexOf((byte)'\n');
        string[] words = end < 0 ? [] : Encoding.ASCII.GetString(file[..end]).Split(' ');
        if (words.Length != 4 || words[0] != Product)
        {
            defect = "it is no source state";
            return null;
        }

        if (words[1] != Version.ToString(CultureInfo.InvariantCulture))
        {
            defect = $"its version {words[1]} is not known to this software";
            return null;
        }

        ReadOnlySpan<byte> body = file[(end + 1)..];
        if (words[2] != body.Length.ToString(CultureInfo.InvariantCulture)
            || words[3] != Crc32C.Compute(body).ToString("x8", CultureInfo.InvariantCulture))
        {
            defect = "its length or checksum is wrong";
            return null;
        }

        try
        {
            defect = "it is empty";
            return JsonSerializer.Deserialize(body, SourceStateJson.Default.SourceState);
        }
        catch (JsonException malformed)
        {
            defect = malformed.Message;
            return null;
        }
    }
}

[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(LineIdJson), typeof(PointIdJson)])]
[JsonSerializable(typeof(SourceState))]
internal sealed partial class SourceStateJson : JsonSerializerContext;
