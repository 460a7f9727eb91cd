using System.Text.Json.Serialization;

namespace Understudy.Model;

/// <summary>Where a VM's protection stands, in the words of docs/operations/states.md and in no others.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ProtectionState>))]
public enum ProtectionState
{
    [JsonStringEnumMemberName("unprotected")] Unprotected,

    /// <summary>The replica is being made, the source is not sending yet.</summary>
    [JsonStringEnumMemberName("preparing")] Preparing,

    /// <summary>The disks travel for the first time; there is no recovery point yet.</summary>
    [JsonStringEnumMemberName("first copy")] FirstCopy,
    [JsonStringEnumMemberName("protected")] Protected,

    /// <summary>Change tracking was lost and the disks are read again; all listed points stay good.</summary>
    [JsonStringEnumMemberName("resynchronising")] Resynchronising,

    /// <summary>Replication rests because somebody said so; the report says who.</summary>
    [JsonStringEnumMemberName("paused")] Paused,

    /// <summary>Protected, and at least one test of it runs.</summary>
    [JsonStringEnumMemberName("test running")] TestRunning,

    /// <summary>The target refuses more data for want of space; the source spools.</summary>
    [JsonStringEnumMemberName("target full")] TargetFull,
    [JsonStringEnumMemberName("failing over")] FailingOver,

    /// <summary>The VM runs at the target; the user commits when it is good.</summary>
    [JsonStringEnumMemberName("commit pending")] CommitPending,

    /// <summary>Committed: the VM stands at the target on its own disks.</summary>
    [JsonStringEnumMemberName("failed over")] FailedOver,
}

[JsonConverter(typeof(JsonStringEnumConverter<JobState>))]
public enum JobState
{
    [JsonStringEnumMemberName("Running")] Running,

    /// <summary>Stopped at a step that needs somebody; <see cref="JobWait"/> says for what.</summary>
    [JsonStringEnumMemberName("Waiting")] Waiting,
    [JsonStringEnumMemberName("Succeeded")] Succeeded,
    [JsonStringEnumMemberName("Failed")] Failed,
    [JsonStringEnumMemberName("Cancelled")] Cancelled,
}

[JsonConverter(typeof(JsonStringEnumConverter<StepState>))]
public enum StepState
{
    [JsonStringEnumMemberName("Pending")] Pending,
    [JsonStringEnumMemberName("Running")] Running,
    [JsonStringEnumMemberName("Waiting")] Waiting,
    [JsonStringEnumMemberName("Succeeded")] Succeeded,
    [JsonStringEnumMemberName("Failed")] Failed,
    [JsonStringEnumMemberName("Cancelled")] Cancelled,
}

/// <summary>What a waiting job waits for.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<JobWait>))]
public enum JobWait
{
    [JsonStringEnumMemberName("none")] None,
    [JsonStringEnumMemberName("waiting for test completion")] TestCompletion,

    /// <summary>The VM is off, its last change is at the target: its host may be worked on.</summary>
    [JsonStringEnumMemberName("ready for maintenance")] Maintenance,

    /// <summary>A guest does not shut down: somebody decides what to do.</summary>
    [JsonStringEnumMemberName("waiting for action")] Action,

    /// <summary>A host that the next step needs is not connected.</summary>
    [JsonStringEnumMemberName("waiting for host")] Host,
}

/// <summary>What the user may be waiting for between two commands (MON-5); said beside the state.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ProtectionWait>))]
public enum ProtectionWait
{
    [JsonStringEnumMemberName("none")] None,

    /// <summary>The VM runs at the target and nobody has said yet that it is good.</summary>
    [JsonStringEnumMemberName("waiting for commit")] Commit,

    /// <summary>As above, and the policy decides when the time is over.</summary>
    [JsonStringEnumMemberName("countdown running")] Countdown,

    /// <summary>Committed; the VM runs on one overlay until the last branch, test or mount lets go of the image.</summary>
    [JsonStringEnumMemberName("last merge waiting for a pin")] Pin,

    /// <summary>The VM is off for the maintenance of its host.</summary>
    [JsonStringEnumMemberName("ready for maintenance")] Maintenance,
}

/// <summary>What a job does; the word stands in its name: <c>web1 (test)</c>.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<JobAction>))]
public enum JobAction
{
    [JsonStringEnumMemberName("protect")] Protect,
    [JsonStringEnumMemberName("unprotect")] Unprotect,
    [JsonStringEnumMemberName("settings")] Set,
    [JsonStringEnumMemberName("pause")] Pause,
    [JsonStringEnumMemberName("resume")] Resume,
    [JsonStringEnumMemberName("resynchronise")] Resync,
    [JsonStringEnumMemberName("bookmark")] Mark,
    [JsonStringEnumMemberName("test")] Test,
    [JsonStringEnumMemberName("promote")] Promote,
    [JsonStringEnumMemberName("planned failover")] PlannedFailover,
    [JsonStringEnumMemberName("unplanned failover")] UnplannedFailover,
    [JsonStringEnumMemberName("change of point")] ChangePoint,
    [JsonStringEnumMemberName("cancel")] Cancel,
    [JsonStringEnumMemberName("commit")] Commit,
    [JsonStringEnumMemberName("export")] Export,
    [JsonStringEnumMemberName("mount")] Mount,
    [JsonStringEnumMemberName("unmount")] Unmount,
    [JsonStringEnumMemberName("attach")] Attach,
    [JsonStringEnumMemberName("detach")] Detach,
    [JsonStringEnumMemberName("delete branch")] DeleteBranch,
    [JsonStringEnumMemberName("maintenance")] Maintenance,
}

[JsonConverter(typeof(JsonStringEnumConverter<HealthLevel>))]
public enum HealthLevel
{
    [JsonStringEnumMemberName("Normal")] Normal,
    [JsonStringEnumMemberName("Warning")] Warning,
    [JsonStringEnumMemberName("Critical")] Critical,
}

[JsonConverter(typeof(JsonStringEnumConverter<CheckLevel>))]
public enum CheckLevel
{
    [JsonStringEnumMemberName("pass")] Pass,
    [JsonStringEnumMemberName("warning")] Warning,
    [JsonStringEnumMemberName("error")] Error,
}

[JsonConverter(typeof(JsonStringEnumConverter<VmPower>))]
public enum VmPower
{
    [JsonStringEnumMemberName("off")] Off,
    [JsonStringEnumMemberName("running")] Running,
    [JsonStringEnumMemberName("paused")] Paused,

    /// <summary>Paused by the hypervisor after an I/O error.</summary>
    [JsonStringEnumMemberName("paused by an I/O error")] PausedIoError,
    [JsonStringEnumMemberName("shutting down")] ShuttingDown,
    [JsonStringEnumMemberName("crashed")] Crashed,
}

/// <summary>What is known of the source before an unplanned failover (PRE-5).</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SourceKnowledge>))]
public enum SourceKnowledge
{
    /// <summary>Its agent is connected and reports the VM off.</summary>
    [JsonStringEnumMemberName("known stopped")] KnownStopped,

    /// <summary>Its agent is connected and reports the VM running.</summary>
    [JsonStringEnumMemberName("known running")] KnownRunning,

    /// <summary>Its agent is connected and lets nobody start the VM.</summary>
    [JsonStringEnumMemberName("fenced")] Fenced,

    /// <summary>Nobody can say: the VM may still run.</summary>
    [JsonStringEnumMemberName("unknown")] Unknown,
}

[JsonConverter(typeof(JsonStringEnumConverter<PointKind>))]
public enum PointKind
{
    [JsonStringEnumMemberName("crash-consistent")] CrashConsistent,

    /// <summary>Cut from the disks of the VM that was off: nothing that had reached them is missing. One that was not shut down
    /// in order has a label that says so.</summary>
    [JsonStringEnumMemberName("planned")] Planned,

    /// <summary>Marked by a person; crash-consistent.</summary>
    [JsonStringEnumMemberName("bookmark")] Bookmark,
}
