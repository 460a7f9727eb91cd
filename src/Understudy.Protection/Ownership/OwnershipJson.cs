using System.Text.Json.Serialization;
using Understudy.Protection.Durable;

namespace Understudy.Protection.Ownership;

/// <summary>How <c>ownership.state</c> is written (docs/formats/run-state.md).</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectRequiredConstructorParameters = true,
    RespectNullableAnnotations = true,
    Converters = [typeof(VmIdJson), typeof(ReplicaIdJson), typeof(LineIdJson), typeof(PointIdJson), typeof(TransferIdJson)])]
[JsonSerializable(typeof(OwnershipRecord))]
internal sealed partial class OwnershipJson : JsonSerializerContext;

internal static class OwnershipFile
{
    public const string Name = "ownership.state";

    public static DurableDocument<OwnershipRecord> Document { get; } = new("understudy-ownership", OwnershipJson.Default.OwnershipRecord);
}
