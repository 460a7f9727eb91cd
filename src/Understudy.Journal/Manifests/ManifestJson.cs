using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;

namespace Understudy.Journal.Manifests;

/// <summary>
/// How the manifest's body is written. Strict: a property that this version does not know makes it refuse the file, because
/// what is not understood might be what keeps a segment alive.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    WriteIndented = true,
    NewLine = "\n",
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    Converters =
    [
        typeof(ReplicaIdConverter), typeof(VmIdConverter), typeof(LineIdConverter), typeof(RecoveryPointIdConverter), typeof(PinIdConverter),
    ])]
[JsonSerializable(typeof(Manifest))]
internal sealed partial class ManifestJson : JsonSerializerContext;

internal abstract class TextConverter<T> : JsonConverter<T>
    where T : struct
{
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && TryParse(reader.GetString(), out T value)
            ? value
            : throw new JsonException($"no {typeof(T).Name}");

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());

    protected abstract bool TryParse(string? text, out T value);
}

/// <summary>Checksums as people compare them: eight lower-case hexadecimal digits.</summary>
internal sealed class HexConverter : JsonConverter<uint>
{
    public override uint Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String
            && uint.TryParse(reader.GetString(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint value)
            ? value
            : throw new JsonException("no checksum");

    public override void Write(Utf8JsonWriter writer, uint value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString("x8", CultureInfo.InvariantCulture));
}

internal sealed class ReplicaIdConverter : TextConverter<ReplicaId>
{
    protected override bool TryParse(string? text, out ReplicaId value)
    {
        bool ok = Guid.TryParseExact(text, "D", out Guid id);
        value = new ReplicaId(id);
        return ok;
    }
}

internal sealed class VmIdConverter : TextConverter<VmId>
{
    protected override bool TryParse(string? text, out VmId value) => VmId.TryParse(text, out value);
}

internal sealed class LineIdConverter : TextConverter<LineId>
{
    protected override bool TryParse(string? text, out LineId value) => LineId.TryParse(text, out value);
}

internal sealed class RecoveryPointIdConverter : TextConverter<RecoveryPointId>
{
    protected override bool TryParse(string? text, out RecoveryPointId value) => RecoveryPointId.TryParse(text, out value);
}

internal sealed class PinIdConverter : TextConverter<PinId>
{
    protected override bool TryParse(string? text, out PinId value) => PinId.TryParse(text, out value);
}
