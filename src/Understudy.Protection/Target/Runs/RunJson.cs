using System.Text.Json;
using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;
using Understudy.Protection.Durable;

namespace Understudy.Protection.Target.Runs;

/// <summary>How the target's state files are written (docs/formats/run-state.md).</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    Converters = [typeof(VmIdJson), typeof(ReplicaIdJson), typeof(DiskIdJson), typeof(LineIdJson), typeof(PointIdJson)])]
[JsonSerializable(typeof(ReplicaSpec))]
[JsonSerializable(typeof(TestRecord))]
[JsonSerializable(typeof(FailoverRecord))]
internal sealed partial class RunJson : JsonSerializerContext;

/// <summary>The target's state files, by kind.</summary>
internal static class RunFiles
{
    public const string Replica = "replica.state";
    public const string Failover = "failover.state";
    public const string TestFolder = "tests";

    public static DurableDocument<ReplicaSpec> ReplicaDocument { get; } = new("understudy-replica", RunJson.Default.ReplicaSpec);

    public static DurableDocument<TestRecord> TestDocument { get; } = new("understudy-test", RunJson.Default.TestRecord);

    public static DurableDocument<FailoverRecord> FailoverDocument { get; } = new("understudy-failover", RunJson.Default.FailoverRecord);

    public static string Test(Guid id) => $"{TestFolder}/{id:N}.state";
}

/// <summary>Identities in their text form, as people see them everywhere else.</summary>
internal abstract class IdJson<T> : JsonConverter<T>
{
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        TryParse(reader.GetString() ?? "", out T value) ? value : throw new JsonException($"not a {typeof(T).Name}");

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(value!.ToString());

    protected abstract bool TryParse(string text, out T value);
}

internal sealed class VmIdJson : IdJson<VmId>
{
    protected override bool TryParse(string text, out VmId value) => VmId.TryParse(text, out value);
}

internal sealed class ReplicaIdJson : IdJson<ReplicaId>
{
    protected override bool TryParse(string text, out ReplicaId value)
    {
        bool ok = Guid.TryParse(text, out Guid id);
        value = new ReplicaId(id);
        return ok;
    }
}

internal sealed class DiskIdJson : IdJson<DiskId>
{
    protected override bool TryParse(string text, out DiskId value)
    {
        bool ok = ushort.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out ushort id);
        value = new DiskId(id);
        return ok;
    }
}

internal sealed class LineIdJson : IdJson<LineId>
{
    protected override bool TryParse(string text, out LineId value) => LineId.TryParse(text, out value);
}

internal sealed class PointIdJson : IdJson<RecoveryPointId>
{
    protected override bool TryParse(string text, out RecoveryPointId value) => RecoveryPointId.TryParse(text, out value);
}
