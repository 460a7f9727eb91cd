using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Durable;

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
        bool ok = ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ushort id);
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

internal sealed class TransferIdJson : IdJson<TransferId>
{
    protected override bool TryParse(string text, out TransferId value) => TransferId.TryParse(text, out value);
}

internal sealed class BranchIdJson : IdJson<BranchId>
{
    protected override bool TryParse(string text, out BranchId value) => BranchId.TryParse(text, out value);
}
