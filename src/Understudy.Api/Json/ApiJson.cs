using System.Text.Json;
using System.Text.Json.Serialization;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.Api.Json;

/// <summary>The one JSON context of the API: REST bodies, control messages, registration files.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    AllowOutOfOrderMetadataProperties = true,
    UseStringEnumConverter = true,
    Converters =
    [
        typeof(VmIdConverter), typeof(ReplicaIdConverter), typeof(HostIdConverter), typeof(SiteIdConverter), typeof(TestIdConverter),
        typeof(OperationIdConverter), typeof(LineIdConverter), typeof(RecoveryPointIdConverter), typeof(JobIdConverter),
        typeof(TransferIdConverter), typeof(BranchIdConverter), typeof(MountIdConverter),
    ])]
[JsonSerializable(typeof(ProblemDto))]
[JsonSerializable(typeof(StatusDto))]
[JsonSerializable(typeof(SiteDto))]
[JsonSerializable(typeof(IReadOnlyList<SiteDto>))]
[JsonSerializable(typeof(SiteAddDto))]
[JsonSerializable(typeof(KeyAddDto))]
[JsonSerializable(typeof(IReadOnlyList<HostDto>))]
[JsonSerializable(typeof(HostCheckDto))]
[JsonSerializable(typeof(HostMaintenanceDto))]
[JsonSerializable(typeof(MaintenanceBeginDto))]
[JsonSerializable(typeof(IReadOnlyList<NetworkDto>))]
[JsonSerializable(typeof(IReadOnlyList<MappingDto>))]
[JsonSerializable(typeof(MapNetworkDto))]
[JsonSerializable(typeof(IReadOnlyList<PolicyDto>))]
[JsonSerializable(typeof(PolicySetDto))]
[JsonSerializable(typeof(IReadOnlyList<VmDto>))]
[JsonSerializable(typeof(VmVerifyDto))]
[JsonSerializable(typeof(ProtectDto))]
[JsonSerializable(typeof(TestVmDto))]
[JsonSerializable(typeof(FailoverDto))]
[JsonSerializable(typeof(FailoverPreviewDto))]
[JsonSerializable(typeof(VmSetDto))]
[JsonSerializable(typeof(MarkDto))]
[JsonSerializable(typeof(PromoteDto))]
[JsonSerializable(typeof(ChangePointDto))]
[JsonSerializable(typeof(UnprotectDto))]
[JsonSerializable(typeof(MountDto))]
[JsonSerializable(typeof(AttachDto))]
[JsonSerializable(typeof(DeleteBranchDto))]
[JsonSerializable(typeof(IReadOnlyList<BranchDto>))]
[JsonSerializable(typeof(IReadOnlyList<RpoSampleDto>))]
[JsonSerializable(typeof(ExportDto))]
[JsonSerializable(typeof(IReadOnlyList<PointDto>))]
[JsonSerializable(typeof(IReadOnlyList<JobDto>))]
[JsonSerializable(typeof(JobCompleteDto))]
[JsonSerializable(typeof(IReadOnlyList<EventDto>))]
[JsonSerializable(typeof(RegistrationKeyFile))]
[JsonSerializable(typeof(JoinDto))]
[JsonSerializable(typeof(AgentMembership))]
[JsonSerializable(typeof(JoinedDto))]
[JsonSerializable(typeof(RenewCertificateDto))]
[JsonSerializable(typeof(RenewedCertificateDto))]
[JsonSerializable(typeof(ControlMessage))]
[JsonSerializable(typeof(AgentHello))]
[JsonSerializable(typeof(Inventory))]
[JsonSerializable(typeof(AgentEvent))]
[JsonSerializable(typeof(Nothing))]
[JsonSerializable(typeof(HostFactsAnswer))]
[JsonSerializable(typeof(PeerCheckRequest))]
[JsonSerializable(typeof(PeerCheckAnswer))]
[JsonSerializable(typeof(ReplicaCreateRequest))]
[JsonSerializable(typeof(ReplicaCreated))]
[JsonSerializable(typeof(ReplicaConfigureRequest))]
[JsonSerializable(typeof(SourceProtectRequest))]
[JsonSerializable(typeof(SourceConfigureRequest))]
[JsonSerializable(typeof(PointsRequest))]
[JsonSerializable(typeof(PointsAnswer))]
[JsonSerializable(typeof(TestStartRequest))]
[JsonSerializable(typeof(TestStarted))]
[JsonSerializable(typeof(TestCompleteRequest))]
[JsonSerializable(typeof(Removed))]
[JsonSerializable(typeof(FailoverStartRequest))]
[JsonSerializable(typeof(FailoverStarted))]
[JsonSerializable(typeof(CommitRequest))]
[JsonSerializable(typeof(Committed))]
[JsonSerializable(typeof(SourceUnprotectRequest))]
[JsonSerializable(typeof(TargetUnprotectRequest))]
[JsonSerializable(typeof(SourceDisksRequest))]
[JsonSerializable(typeof(SourceCycleRequest))]
[JsonSerializable(typeof(PointMade))]
[JsonSerializable(typeof(SourcePauseRequest))]
[JsonSerializable(typeof(SourceResumeRequest))]
[JsonSerializable(typeof(SourceResyncRequest))]
[JsonSerializable(typeof(SourceFenceRequest))]
[JsonSerializable(typeof(SourceUnfenceRequest))]
[JsonSerializable(typeof(SourceStopGuestRequest))]
[JsonSerializable(typeof(GuestStopped))]
[JsonSerializable(typeof(SourceLastChangeRequest))]
[JsonSerializable(typeof(SourceOfferRequest))]
[JsonSerializable(typeof(SourceOffered))]
[JsonSerializable(typeof(SourceHandedOverRequest))]
[JsonSerializable(typeof(SourceTakeBackRequest))]
[JsonSerializable(typeof(SourceAcceptRequest))]
[JsonSerializable(typeof(SourceDeposeRequest))]
[JsonSerializable(typeof(SourceRevalidateRequest))]
[JsonSerializable(typeof(SourceBranchDeleteRequest))]
[JsonSerializable(typeof(TransferRefuseRequest))]
[JsonSerializable(typeof(TransferSettledRequest))]
[JsonSerializable(typeof(TargetRevalidateRequest))]
[JsonSerializable(typeof(ChangePointRequest))]
[JsonSerializable(typeof(FailoverCancelRequest))]
[JsonSerializable(typeof(FailoverCancelled))]
[JsonSerializable(typeof(VaultCopyRequest))]
[JsonSerializable(typeof(PointMountRequest))]
[JsonSerializable(typeof(PointMounted))]
[JsonSerializable(typeof(PointUnmountRequest))]
[JsonSerializable(typeof(PointAttachRequest))]
[JsonSerializable(typeof(PointDetachRequest))]
[JsonSerializable(typeof(BranchDeleteRequest))]
[JsonSerializable(typeof(PointExportRequest))]
[JsonSerializable(typeof(PointExported))]
[JsonSerializable(typeof(HostFacts))]
[JsonSerializable(typeof(SourceReport))]
[JsonSerializable(typeof(TargetReport))]
[JsonSerializable(typeof(KeptOutcome))]
[JsonSerializable(typeof(LocalState))]
[JsonSerializable(typeof(LocalSettings))]
[JsonSerializable(typeof(LocalClaimRequest))]
[JsonSerializable(typeof(LocalClaimed))]
[JsonSerializable(typeof(VaultCopiesDto))]
[JsonSerializable(typeof(RestoredVaultDto))]
public sealed partial class ApiJson : JsonSerializerContext
{
    /// <summary>For files and output that people read.</summary>
    public static ApiJson Indented => field ??= new ApiJson(new JsonSerializerOptions(s_defaultOptions)
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // into a terminal or a file, never into a page
    });
}
