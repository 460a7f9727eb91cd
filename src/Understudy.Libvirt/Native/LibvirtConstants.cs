namespace Understudy.Libvirt.Native;

/// <summary>Numbers from libvirt's headers, under names of ours.</summary>
internal static class LibvirtConstants
{
    /// <summary>VIR_UUID_STRING_BUFLEN.</summary>
    public const int UuidTextBytes = 37;

    public const uint XmlSecure = 1;
    public const uint XmlInactive = 2;

    public const uint AffectLive = 1;

    public const uint StartPaused = 1;
    public const uint StartAutodestroy = 2;

    public const uint UndefineManagedSave = 1;
    public const uint UndefineSnapshotsMetadata = 2;
    public const uint UndefineNvram = 4;
    public const uint UndefineCheckpointsMetadata = 16;
    public const uint UndefineTpm = 32;

    public const uint CheckpointListTopological = 2;
    public const uint CheckpointDeleteMetadataOnly = 2;
    public const uint CheckpointCreateRedefine = 1;
    public const uint CheckpointCreateRedefineValidate = 4;

    public const uint BlockCopyShallow = 1;
    public const uint BlockCopyReuseExternal = 2;
    public const uint BlockCopyTransientJob = 4;
    public const uint BlockCommitActive = 4;
    public const uint BlockJobAbortPivot = 2;

    public const int EventLifecycle = 0;
    public const int EventIoErrorReason = 6;
    public const int EventBlockJob2 = 16;
    public const int EventAgentLifecycle = 18;
    public const int EventJobCompleted = 21;

    public const string JobDiskTempUsed = "disk_temp_used";
}

/// <summary>virDomainState.</summary>
internal enum LibvirtDomainState
{
    NoState = 0,
    Running = 1,
    Blocked = 2,
    Paused = 3,
    Shutdown = 4,
    Shutoff = 5,
    Crashed = 6,
    PmSuspended = 7,
}

/// <summary>The reasons of virDomainPausedReason that we tell apart.</summary>
internal static class LibvirtPausedReason
{
    public const int IoError = 5;
}

/// <summary>The reasons of virDomainShutoffReason that we tell apart. A libvirtd that was started since knows none of them any more.</summary>
internal static class LibvirtShutoffReason
{
    public const int Destroyed = 2;
    public const int Crashed = 3;
    public const int Saved = 5;
    public const int Failed = 6;
}

/// <summary>virErrorNumber: those that decide something here.</summary>
internal enum LibvirtErrorCode
{
    Ok = 0,
    InternalError = 1,
    NoSupport = 3,
    NoConnect = 5,
    InvalidConnect = 6,
    InvalidArgument = 8,
    OperationFailed = 9,
    OperationDenied = 29,
    SystemError = 38,
    Rpc = 39,
    NoDomain = 42,
    NoNetwork = 43,
    OperationInvalid = 55,
    ConfigUnsupported = 67,
    OperationTimeout = 68,
    HookScriptFailed = 70,
    OperationAborted = 78,
    BlockCopyActive = 83,
    OperationUnsupported = 84,
    AgentUnresponsive = 86,
    ResourceBusy = 87,
    AccessDenied = 88,
    AuthenticationUnavailable = 94,
    NoDomainCheckpoint = 103,
    NoDomainBackup = 104,
    CheckpointInconsistent = 109,
}
