using System.Text.Json;
using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Api.Json;

/// <summary>An id travels as its text form; text that is none is a <see cref="JsonException"/>.</summary>
public abstract class TextIdConverter<TId> : JsonConverter<TId>
    where TId : struct
{
    protected abstract bool TryParse(string text, out TId id);

    public override TId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && TryParse(reader.GetString()!, out TId id) // a string token has a string
            ? id
            : throw new JsonException($"not a {typeof(TId).Name}");

    public override void Write(Utf8JsonWriter writer, TId value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}

public abstract class GuidIdConverter<TId> : TextIdConverter<TId>
    where TId : struct
{
    protected abstract TId From(Guid value);

    protected override bool TryParse(string text, out TId id)
    {
        bool ok = Guid.TryParse(text, out Guid value);
        id = From(value);
        return ok;
    }
}

public sealed class VmIdConverter : GuidIdConverter<VmId>
{
    protected override VmId From(Guid value) => new(value);
}

public sealed class ReplicaIdConverter : GuidIdConverter<ReplicaId>
{
    protected override ReplicaId From(Guid value) => new(value);
}

public sealed class HostIdConverter : GuidIdConverter<HostId>
{
    protected override HostId From(Guid value) => new(value);
}

public sealed class SiteIdConverter : GuidIdConverter<SiteId>
{
    protected override SiteId From(Guid value) => new(value);
}

public sealed class TestIdConverter : GuidIdConverter<TestId>
{
    protected override TestId From(Guid value) => new(value);
}

public sealed class TransferIdConverter : GuidIdConverter<TransferId>
{
    protected override TransferId From(Guid value) => new(value);
}

public sealed class BranchIdConverter : GuidIdConverter<BranchId>
{
    protected override BranchId From(Guid value) => new(value);
}

public sealed class MountIdConverter : GuidIdConverter<MountId>
{
    protected override MountId From(Guid value) => new(value);
}

public sealed class OperationIdConverter : GuidIdConverter<OperationId>
{
    protected override OperationId From(Guid value) => new(value);
}

public sealed class LineIdConverter : TextIdConverter<LineId>
{
    protected override bool TryParse(string text, out LineId id) => LineId.TryParse(text, out id);
}

public sealed class RecoveryPointIdConverter : TextIdConverter<RecoveryPointId>
{
    protected override bool TryParse(string text, out RecoveryPointId id) => RecoveryPointId.TryParse(text, out id);
}

public sealed class JobIdConverter : JsonConverter<JobId>
{
    public override JobId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(reader.GetInt64());

    public override void Write(Utf8JsonWriter writer, JobId value, JsonSerializerOptions options) => writer.WriteNumberValue(value.Value);
}
