using System.Text.Json.Serialization;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs;

/// <summary>What the steps of a job need to know: fixed when the job is made, but for what one step finds out for the next.</summary>
/// <param name="Replica">The protection the job is about: a later one of the same VM is another.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "action")]
[JsonDerivedType(typeof(PlainInput), "plain")]
[JsonDerivedType(typeof(ProtectInput), "protect")]
[JsonDerivedType(typeof(PauseInput), "pause")]
[JsonDerivedType(typeof(MarkInput), "mark")]
[JsonDerivedType(typeof(SettingsInput), "settings")]
[JsonDerivedType(typeof(TestInput), "test")]
[JsonDerivedType(typeof(FailoverInput), "failover")]
[JsonDerivedType(typeof(ChangePointInput), "change point")]
[JsonDerivedType(typeof(CancelInput), "cancel")]
[JsonDerivedType(typeof(ExportInput), "export")]
[JsonDerivedType(typeof(MountInput), "mount")]
[JsonDerivedType(typeof(UnmountInput), "unmount")]
[JsonDerivedType(typeof(BranchInput), "branch")]
internal abstract record JobInput(ReplicaId Replica)
{
    /// <summary>For a retry from the beginning: what was used up once is made anew.</summary>
    public virtual JobInput Renew(IIdSource ids) => this;

    /// <summary>The point that was listed when the job was made.</summary>
    public virtual RecoveryPointId? Chosen => null;
}

internal sealed record PlainInput(ReplicaId Replica) : JobInput(Replica);

/// <param name="Ended">The protection, which ended with a job that had made nothing of it: what a retry begins with.</param>
internal sealed record ProtectInput(
    ReplicaId Replica, DateTimeOffset? StartAt = null, IReadOnlyList<DiskSeed>? Seeds = null, ProtectionRow? Ended = null) : JobInput(Replica);

internal sealed record PauseInput(ReplicaId Replica, string By) : JobInput(Replica);

internal sealed record MarkInput(ReplicaId Replica, string? Label) : JobInput(Replica);

/// <param name="Changed">The settings in words, for the job's page.</param>
internal sealed record SettingsInput(ReplicaId Replica, IReadOnlyList<string> Changed, bool Disks) : JobInput(Replica);

internal sealed record TestInput(
    ReplicaId Replica,
    TestId Test,
    RecoveryPointId Point,
    string VmName,
    bool Isolated,
    IReadOnlyList<TestNic> Nics,
    BranchId? Branch = null,
    string? Label = null,
    RunChoices? Run = null)
    : JobInput(Replica)
{
    public override RecoveryPointId? Chosen => Point;
}

/// <param name="Point">Null: the newest when the start begins. A planned failover learns it from its last change.</param>
/// <param name="Transfer">Of a planned failover.</param>
/// <param name="Test">The test that becomes the failover.</param>
/// <param name="Running">The VM ran at its source when the job was made.</param>
/// <param name="Off">The guest was shut down by this job.</param>
/// <param name="PowerOffBy">Who has given the word to pull the guest's plug.</param>
/// <param name="PoweredOff">The plug was pulled: the guest did not shut down, and the planned point says so.</param>
/// <param name="Run">What this run was given over the stored settings.</param>
/// <param name="Maintained">The host whose maintenance this is.</param>
internal sealed record FailoverInput(
    ReplicaId Replica,
    RecoveryPointId? Point,
    bool Running,
    TimeSpan ShutdownLimit,
    TransferId? Transfer = null,
    TestId? Test = null,
    string? Label = null,
    bool Off = false,
    string? PowerOffBy = null,
    bool PoweredOff = false,
    RunChoices? Run = null,
    HostId? Maintained = null)
    : JobInput(Replica)
{
    public override RecoveryPointId? Chosen => Point;

    /// <summary>What a target has refused once it never accepts.</summary>
    public override JobInput Renew(IIdSource ids) => Transfer is null
        ? this with { Off = false, PowerOffBy = null, PoweredOff = false }
        : this with { Transfer = new TransferId(ids.NewGuid()), Point = null, Off = false, PowerOffBy = null, PoweredOff = false };
}

/// <param name="Run">What the run is given over what it was given when it began.</param>
internal sealed record ChangePointInput(ReplicaId Replica, RecoveryPointId Point, string? Label, RunChoices? Run = null) : JobInput(Replica)
{
    public override RecoveryPointId? Chosen => Point;
}

/// <param name="Start">The VM shall run at its source again.</param>
/// <param name="Line">What the target has minted for the source; null before, and where there was nothing to give back.</param>
/// <param name="Parent">Where that line begins.</param>
internal sealed record CancelInput(ReplicaId Replica, TransferId Transfer, bool Start, LineId? Line = null, RecoveryPointId? Parent = null) : JobInput(Replica);

internal sealed record ExportInput(ReplicaId Replica, RecoveryPointId Point, string Folder, string Format, BranchId? Branch = null) : JobInput(Replica)
{
    public override RecoveryPointId? Chosen => Point;
}

/// <param name="ToVm">The VM it is attached to; null to mount it.</param>
internal sealed record MountInput(ReplicaId Replica, MountId Mount, RecoveryPointId Point, BranchId? Branch, string? ToVm, bool Writable) : JobInput(Replica)
{
    public override RecoveryPointId? Chosen => Point;
}

internal sealed record UnmountInput(ReplicaId Replica, MountId Mount) : JobInput(Replica);

/// <param name="Host">Where the branch is. It may outlive the protection, so nothing else says it.</param>
internal sealed record BranchInput(ReplicaId Replica, BranchId Branch, string Name, HostId Host, bool AtSource) : JobInput(Replica);
