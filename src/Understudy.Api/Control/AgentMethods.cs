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

    // --- Both sides ---
    public static AgentMethod<Nothing, HostFactsAnswer> HostFacts { get; } =
        new("host.facts", false, _json.Nothing, _json.HostFactsAnswer);

    public static AgentMethod<PeerCheckRequest, PeerCheckAnswer> PeerCheck { get; } =
        new("peer.check", false, _json.PeerCheckRequest, _json.PeerCheckAnswer);

    // --- Source ---
    public static AgentMethod<SourceProtectRequest, Nothing> SourceProtect { get; } =
        new("source.protect", true, _json.SourceProtectRequest, _json.Nothing);

    public static AgentMethod<SourceConfigureRequest, Nothing> SourceConfigure { get; } =
        new("source.configure", true, _json.SourceConfigureRequest, _json.Nothing);

    public static AgentMethod<SourceDisksRequest, Nothing> SourceDisks { get; } =
        new("source.setDisks", true, _json.SourceDisksRequest, _json.Nothing);

    public static AgentMethod<SourceCycleRequest, PointMade> SourceCycle { get; } =
        new("source.cycle", true, _json.SourceCycleRequest, _json.PointMade);

    public static AgentMethod<SourcePauseRequest, Nothing> SourcePause { get; } =
        new("source.pause", true, _json.SourcePauseRequest, _json.Nothing);

    public static AgentMethod<SourceResumeRequest, Nothing> SourceResume { get; } =
        new("source.resume", true, _json.SourceResumeRequest, _json.Nothing);

    public static AgentMethod<SourceResyncRequest, Nothing> SourceResync { get; } =
        new("source.resync", true, _json.SourceResyncRequest, _json.Nothing);

    public static AgentMethod<SourceFenceRequest, Nothing> SourceFence { get; } =
        new("source.fence", true, _json.SourceFenceRequest, _json.Nothing);

    public static AgentMethod<SourceUnfenceRequest, Nothing> SourceUnfence { get; } =
        new("source.unfence", true, _json.SourceUnfenceRequest, _json.Nothing);

    public static AgentMethod<SourceStopGuestRequest, GuestStopped> SourceStopGuest { get; } =
        new("source.stopGuest", true, _json.SourceStopGuestRequest, _json.GuestStopped);

    public static AgentMethod<SourceLastChangeRequest, PointMade> SourceLastChange { get; } =
        new("source.lastChange", true, _json.SourceLastChangeRequest, _json.PointMade);

    public static AgentMethod<SourceOfferRequest, SourceOffered> SourceOffer { get; } =
        new("source.offer", true, _json.SourceOfferRequest, _json.SourceOffered);

    public static AgentMethod<SourceHandedOverRequest, Nothing> SourceHandedOver { get; } =
        new("source.handedOver", true, _json.SourceHandedOverRequest, _json.Nothing);

    public static AgentMethod<SourceTakeBackRequest, Nothing> SourceTakeBack { get; } =
        new("source.takeBack", true, _json.SourceTakeBackRequest, _json.Nothing);

    public static AgentMethod<SourceAcceptRequest, Nothing> SourceAccept { get; } =
        new("source.accept", true, _json.SourceAcceptRequest, _json.Nothing);

    public static AgentMethod<SourceDeposeRequest, Nothing> SourceDepose { get; } =
        new("source.depose", true, _json.SourceDeposeRequest, _json.Nothing);

    public static AgentMethod<SourceRevalidateRequest, Nothing> SourceRevalidate { get; } =
        new("source.revalidate", true, _json.SourceRevalidateRequest, _json.Nothing);

    public static AgentMethod<SourceBranchDeleteRequest, Removed> SourceBranchDelete { get; } =
        new("source.branchDelete", true, _json.SourceBranchDeleteRequest, _json.Removed);

    public static AgentMethod<SourceUnprotectRequest, Removed> SourceUnprotect { get; } =
        new("source.unprotect", true, _json.SourceUnprotectRequest, _json.Removed);

    // --- Target ---
    public static AgentMethod<ReplicaCreateRequest, ReplicaCreated> ReplicaCreate { get; } =
        new("replica.create", true, _json.ReplicaCreateRequest, _json.ReplicaCreated);

    public static AgentMethod<ReplicaConfigureRequest, Nothing> ReplicaConfigure { get; } =
        new("replica.configure", true, _json.ReplicaConfigureRequest, _json.Nothing);

    public static AgentMethod<TestStartRequest, TestStarted> TestStart { get; } =
        new("test.start", true, _json.TestStartRequest, _json.TestStarted);

    public static AgentMethod<TestCompleteRequest, Removed> TestComplete { get; } =
        new("test.complete", true, _json.TestCompleteRequest, _json.Removed);

    public static AgentMethod<FailoverStartRequest, FailoverStarted> FailoverStart { get; } =
        new("failover.start", true, _json.FailoverStartRequest, _json.FailoverStarted);

    public static AgentMethod<TransferRefuseRequest, Nothing> TransferRefuse { get; } =
        new("transfer.refuse", true, _json.TransferRefuseRequest, _json.Nothing);

    public static AgentMethod<TransferSettledRequest, Nothing> TransferSettled { get; } =
        new("transfer.settled", true, _json.TransferSettledRequest, _json.Nothing);

    public static AgentMethod<TargetRevalidateRequest, Nothing> TargetRevalidate { get; } =
        new("target.revalidate", true, _json.TargetRevalidateRequest, _json.Nothing);

    public static AgentMethod<ChangePointRequest, FailoverStarted> ChangePoint { get; } =
        new("failover.changePoint", true, _json.ChangePointRequest, _json.FailoverStarted);

    public static AgentMethod<FailoverCancelRequest, FailoverCancelled> FailoverCancel { get; } =
        new("failover.cancel", true, _json.FailoverCancelRequest, _json.FailoverCancelled);

    public static AgentMethod<CommitRequest, Committed> Commit { get; } =
        new("commit", true, _json.CommitRequest, _json.Committed);

    public static AgentMethod<TargetUnprotectRequest, Removed> TargetUnprotect { get; } =
        new("target.unprotect", true, _json.TargetUnprotectRequest, _json.Removed);

    /// <summary>Its parts would fill the log of outcomes: they are the same when done twice, and need none.</summary>
    public static AgentMethod<VaultCopyRequest, Nothing> VaultCopy { get; } =
        new("vault.copy", false, _json.VaultCopyRequest, _json.Nothing);

    // --- Target, points and branches ---
    public static AgentMethod<PointsRequest, PointsAnswer> PointsList { get; } =
        new("points.list", false, _json.PointsRequest, _json.PointsAnswer);

    public static AgentMethod<PointExportRequest, PointExported> PointExport { get; } =
        new("point.export", true, _json.PointExportRequest, _json.PointExported);

    public static AgentMethod<PointMountRequest, PointMounted> PointMount { get; } =
        new("point.mount", true, _json.PointMountRequest, _json.PointMounted);

    public static AgentMethod<PointUnmountRequest, Removed> PointUnmount { get; } =
        new("point.unmount", true, _json.PointUnmountRequest, _json.Removed);

    public static AgentMethod<PointAttachRequest, PointMounted> PointAttach { get; } =
        new("point.attach", true, _json.PointAttachRequest, _json.PointMounted);

    public static AgentMethod<PointDetachRequest, Removed> PointDetach { get; } =
        new("point.detach", true, _json.PointDetachRequest, _json.Removed);

    public static AgentMethod<BranchDeleteRequest, Removed> BranchDelete { get; } =
        new("branch.delete", true, _json.BranchDeleteRequest, _json.Removed);
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
