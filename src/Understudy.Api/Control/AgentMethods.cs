using System.Text.Json.Serialization.Metadata;
using Understudy.Api.Json;

namespace Understudy.Api.Control;

/// <summary>A request an agent answers, with the types that go with its name.</summary>
/// <param name="ChangesThings">Such a request carries an operation id and its outcome is kept.</param>
public sealed record AgentMethod<TRequest, TAnswer>(
    string Name,
    bool ChangesThings,
    JsonTypeInfo<TRequest> Request,
    JsonTypeInfo<TAnswer> Answer);

/// <summary>News an agent sends by itself.</summary>
public sealed record PushKind<TBody>(string Name, JsonTypeInfo<TBody> Body);

/// <summary>All that the vault asks of agents.</summary>
public static class AgentMethods
{
    private static readonly ApiJson _json = ApiJson.Default;

    public static AgentMethod<Nothing, HostFactsAnswer> HostFacts { get; } =
        new("host.facts", false, _json.Nothing, _json.HostFactsAnswer);

    public static AgentMethod<PeerCheckRequest, PeerCheckAnswer> PeerCheck { get; } =
        new("peer.check", false, _json.PeerCheckRequest, _json.PeerCheckAnswer);

    public static AgentMethod<ReplicaCreateRequest, ReplicaCreated> ReplicaCreate { get; } =
        new("replica.create", true, _json.ReplicaCreateRequest, _json.ReplicaCreated);

    public static AgentMethod<ReplicaConfigureRequest, Nothing> ReplicaConfigure { get; } =
        new("replica.configure", true, _json.ReplicaConfigureRequest, _json.Nothing);

    public static AgentMethod<SourceProtectRequest, Nothing> SourceProtect { get; } =
        new("source.protect", true, _json.SourceProtectRequest, _json.Nothing);

    public static AgentMethod<SourceConfigureRequest, Nothing> SourceConfigure { get; } =
        new("source.configure", true, _json.SourceConfigureRequest, _json.Nothing);

    public static AgentMethod<PointsRequest, PointsAnswer> PointsList { get; } =
        new("points.list", false, _json.PointsRequest, _json.PointsAnswer);

    public static AgentMethod<TestStartRequest, TestStarted> TestStart { get; } =
        new("test.start", true, _json.TestStartRequest, _json.TestStarted);

    public static AgentMethod<TestCompleteRequest, Removed> TestComplete { get; } =
        new("test.complete", true, _json.TestCompleteRequest, _json.Removed);

    public static AgentMethod<FailoverStartRequest, FailoverStarted> FailoverStart { get; } =
        new("failover.start", true, _json.FailoverStartRequest, _json.FailoverStarted);

    public static AgentMethod<CommitRequest, Committed> Commit { get; } =
        new("commit", true, _json.CommitRequest, _json.Committed);

    public static AgentMethod<SourceUnprotectRequest, Removed> SourceUnprotect { get; } =
        new("source.unprotect", true, _json.SourceUnprotectRequest, _json.Removed);

    public static AgentMethod<TargetUnprotectRequest, Removed> TargetUnprotect { get; } =
        new("target.unprotect", true, _json.TargetUnprotectRequest, _json.Removed);

    public static AgentMethod<PointExportRequest, PointExported> PointExport { get; } =
        new("point.export", true, _json.PointExportRequest, _json.PointExported);
}

/// <summary>All that agents tell by themselves.</summary>
public static class AgentPushes
{
    private static readonly ApiJson _json = ApiJson.Default;

    public static PushKind<AgentHello> Hello { get; } = new("hello", _json.AgentHello);

    public static PushKind<Model.HostFacts> Host { get; } = new("host", _json.HostFacts);

    public static PushKind<Inventory> Inventory { get; } = new("inventory", _json.Inventory);

    public static PushKind<Model.SourceReport> Source { get; } = new("source", _json.SourceReport);

    public static PushKind<Model.TargetReport> Target { get; } = new("target", _json.TargetReport);

    public static PushKind<AgentEvent> Event { get; } = new("event", _json.AgentEvent);
}
