using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;
using Understudy.Protection.Durable;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Mounts;

namespace Understudy.Protection.Target.Runs;

/// <summary>How the target's state files are written (docs/formats/run-state.md).</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    Converters = [typeof(VmIdJson), typeof(ReplicaIdJson), typeof(DiskIdJson), typeof(LineIdJson), typeof(PointIdJson), typeof(TransferIdJson), typeof(BranchIdJson)])]
[JsonSerializable(typeof(ReplicaSpec))]
[JsonSerializable(typeof(TestRecord))]
[JsonSerializable(typeof(FailoverRecord))]
[JsonSerializable(typeof(GuestSeen))]
[JsonSerializable(typeof(BranchRecord))]
[JsonSerializable(typeof(MountRecord))]
internal sealed partial class RunJson : JsonSerializerContext;

/// <summary>The target's state files, by kind.</summary>
internal static class RunFiles
{
    public const string Replica = "replica.state";
    public const string Failover = "failover.state";
    public const string Guest = "guest.state";
    public const string TestFolder = "tests";
    public const string BranchFolder = "branches";
    public const string MountFolder = "mounts";

    public static DurableDocument<ReplicaSpec> ReplicaDocument { get; } = new("understudy-replica", RunJson.Default.ReplicaSpec);

    public static DurableDocument<TestRecord> TestDocument { get; } = new("understudy-test", RunJson.Default.TestRecord);

    public static DurableDocument<FailoverRecord> FailoverDocument { get; } = new("understudy-failover", RunJson.Default.FailoverRecord);

    public static DurableDocument<GuestSeen> GuestDocument { get; } = new("understudy-recovered-guest", RunJson.Default.GuestSeen);

    public static DurableDocument<BranchRecord> BranchDocument { get; } = new("understudy-branch", RunJson.Default.BranchRecord);

    public static DurableDocument<MountRecord> MountDocument { get; } = new("understudy-mount", RunJson.Default.MountRecord);

    public static string Test(Guid id) => $"{TestFolder}/{id:N}.state";

    public static string Mount(Guid id) => $"{MountFolder}/{id:N}.state";

    public static string Branch(BranchId id) => $"{BranchFolder}/{id.Value:N}.state";
}
