namespace Understudy.Vault.Storage;

// What the database holds, one class a table. Rows are made and changed by the stores only; everything else sees the
// records of Understudy.Model. Lists and reports that are only ever read whole are JSON columns.

internal sealed class SettingRow
{
    public required string Key { get; set; }

    public required string Value { get; set; }
}

internal sealed class SiteRow
{
    public Guid Id { get; set; }

    public required string Name { get; set; }
}

/// <summary>A registration key: the secret itself is only in the key file.</summary>
internal sealed class RegistrationKeyRow
{
    public Guid Id { get; set; }

    public Guid SiteId { get; set; }

    public required byte[] SecretHash { get; set; }

    public DateTimeOffset CreatedAt { get; set; }

    public DateTimeOffset ExpiresAt { get; set; }

    public DateTimeOffset? UsedAt { get; set; }

    public Guid? UsedByHost { get; set; }
}

internal sealed class HostRow
{
    public Guid Id { get; set; }

    public Guid SiteId { get; set; }

    public required string Name { get; set; }

    public required string ReplicationEndpoint { get; set; }

    public DateTimeOffset JoinedAt { get; set; }

    public DateTimeOffset? LastSeenAt { get; set; }

    public string? FactsJson { get; set; }

    /// <summary>Null while the host is in none.</summary>
    public string? MaintenanceJson { get; set; }
}

/// <summary>A VM on a host; after a failover the same VM is on two.</summary>
internal sealed class VmRow
{
    public Guid HostId { get; set; }

    public Guid VmId { get; set; }

    public required string Name { get; set; }

    public required string VmJson { get; set; }
}

internal sealed class PolicyRow
{
    public required string Name { get; set; }

    /// <summary>As the API says it; what is missing has its default.</summary>
    public required string PolicyJson { get; set; }
}

internal sealed class MappingRow
{
    public Guid SourceSite { get; set; }

    public required string SourceNetwork { get; set; }

    public Guid TargetSite { get; set; }

    public required string TargetNetwork { get; set; }

    public string? TestNetwork { get; set; }

    public bool Automatic { get; set; }
}

internal sealed class StorageMappingRow
{
    public Guid SourceSite { get; set; }

    public required string SourcePool { get; set; }

    public Guid TargetSite { get; set; }

    public required string TargetPool { get; set; }
}

internal sealed class ProtectionRow
{
    public Guid VmId { get; set; }

    public required string Name { get; set; }

    public Guid SourceHost { get; set; }

    public Guid TargetHost { get; set; }

    public Guid Replica { get; set; }

    public string? Line { get; set; }

    public required string Policy { get; set; }

    public required string TargetName { get; set; }

    public required string NicsJson { get; set; }

    public int? Cpus { get; set; }

    public long? MemoryBytes { get; set; }

    public string? Pool { get; set; }

    public required string ExcludedJson { get; set; }

    public required string Stage { get; set; }

    /// <summary>Set while a failover stands that is not committed; as the two after it.</summary>
    public DateTimeOffset? PendingSince { get; set; }

    public string? FailoverKind { get; set; }

    public bool RanAtSource { get; set; }

    /// <summary>What the run that waits for its commit was given; null also where that was said at the host.</summary>
    public string? PendingRunJson { get; set; }

    /// <summary>The job that the policy's countdown made. There is only one: what it could not do is left to people.</summary>
    public long? CountdownJob { get; set; }

    /// <summary>Up to when the policy's timetable of bookmarks has been followed.</summary>
    public DateTimeOffset? BookmarkedUntil { get; set; }

    public string? SourceReportJson { get; set; }

    public string? TargetReportJson { get; set; }
}

/// <summary>Old disks of a source whose VM stays at its target: blocked, and listed until they are deleted by name.</summary>
internal sealed class RetiredRow
{
    public Guid Replica { get; set; }

    public Guid VmId { get; set; }

    public required string VmName { get; set; }

    public Guid SourceHost { get; set; }

    /// <summary>Null until the source, when it was away, has heard that it is retired.</summary>
    public string? ReportJson { get; set; }
}

/// <summary>The worst age of the newest point in one stretch of time.</summary>
internal sealed class RpoRow
{
    public Guid VmId { get; set; }

    public DateTimeOffset At { get; set; }

    public double WorstSeconds { get; set; }
}

internal sealed class TestRow
{
    public Guid Id { get; set; }

    public Guid VmId { get; set; }

    public required string VmName { get; set; }

    public required string Point { get; set; }

    public long JobId { get; set; }

    public DateTimeOffset StartedAt { get; set; }

    public string? Label { get; set; }
}

internal sealed class JobRow
{
    public long Id { get; set; }

    public required string Name { get; set; }

    public required string Action { get; set; }

    public Guid VmId { get; set; }

    public required string VmName { get; set; }

    public required string State { get; set; }

    public required string Wait { get; set; }

    public required string RequestedBy { get; set; }

    public DateTimeOffset CreatedAt { get; set; }

    public DateTimeOffset? EndedAt { get; set; }

    /// <summary>What the steps need to know, fixed when the job is made.</summary>
    public required string InputJson { get; set; }

    public string? Note { get; set; }

    /// <summary>The user has completed the test.</summary>
    public bool Completed { get; set; }

    public string? CancelRequestedBy { get; set; }

    public required string MadeJson { get; set; }

    public string? ErrorJson { get; set; }

    /// <summary>Counts every change, so that watchers see each state once.</summary>
    public long Revision { get; set; }

    public List<StepRow> Steps { get; set; } = [];
}

internal sealed class StepRow
{
    public long JobId { get; set; }

    public int Number { get; set; }

    public required string Kind { get; set; }

    public required string Title { get; set; }

    public required string State { get; set; }

    public int Attempt { get; set; }

    /// <summary>Durable before the agent is asked; a retry gets a new one.</summary>
    public Guid OperationId { get; set; }

    public DateTimeOffset? StartedAt { get; set; }

    public DateTimeOffset? EndedAt { get; set; }

    public double? Progress { get; set; }

    public string? Detail { get; set; }

    public string? ErrorJson { get; set; }
}

/// <summary>One VM is in one operation at a time: the primary key says so, whoever asks.</summary>
internal sealed class LeaseRow
{
    public Guid VmId { get; set; }

    public long JobId { get; set; }
}

/// <summary>What a host that was away still has to remove.</summary>
internal sealed class CleanupRow
{
    public Guid OperationId { get; set; }

    public Guid HostId { get; set; }

    public Guid VmId { get; set; }

    public Guid Replica { get; set; }

    public required string VmName { get; set; }

    public required string Side { get; set; }

    /// <summary>The VM stays at the target: the old one at the source stays blocked.</summary>
    public bool KeepGuard { get; set; }

    /// <summary>The line that owns it there, which a source that was away has not heard of.</summary>
    public string? Line { get; set; }

    public DateTimeOffset? MintedAt { get; set; }
}

internal sealed class EventRow
{
    public long Id { get; set; }

    public DateTimeOffset At { get; set; }

    public required string Severity { get; set; }

    public required string Kind { get; set; }

    public Guid? VmId { get; set; }

    public Guid? HostId { get; set; }

    public required string Text { get; set; }
}

internal sealed class TokenRow
{
    public Guid Id { get; set; }

    public required string Name { get; set; }

    public required byte[] Hash { get; set; }

    public DateTimeOffset CreatedAt { get; set; }
}
