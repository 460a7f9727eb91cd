using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Understudy.Api.Json;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Vault.Backup;
using Understudy.Vault.Jobs;
using Understudy.Vault.Sites;

namespace Understudy.Vault;

/// <summary>The vault's one JSON context: what it keeps in JSON columns.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    Converters =
    [
        typeof(VmIdConverter), typeof(ReplicaIdConverter), typeof(HostIdConverter), typeof(TestIdConverter), typeof(LineIdConverter),
        typeof(RecoveryPointIdConverter), typeof(TransferIdConverter), typeof(BranchIdConverter), typeof(MountIdConverter),
    ])]
[JsonSerializable(typeof(HostFacts))]
[JsonSerializable(typeof(MaintenanceNote))]
[JsonSerializable(typeof(DiscoveredVm))]
[JsonSerializable(typeof(SourceReport))]
[JsonSerializable(typeof(TargetReport))]
[JsonSerializable(typeof(IReadOnlyList<NicPlan>))]
[JsonSerializable(typeof(RunChoices))]
[JsonSerializable(typeof(IReadOnlyList<string>))]
[JsonSerializable(typeof(ErrorInfo))]
[JsonSerializable(typeof(PolicySetDto))]
[JsonSerializable(typeof(JobInput))]
[JsonSerializable(typeof(RecoveryKey))]
[JsonSerializable(typeof(CopyHeader))]
internal sealed partial class VaultJson : JsonSerializerContext
{
    public static string Write<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.Serialize(value, type);

    public static T? Read<T>(string? json, JsonTypeInfo<T> type)
        where T : class => json is null ? null : JsonSerializer.Deserialize(json, type);
}
