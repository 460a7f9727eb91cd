using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Migrations.Operations;
using Microsoft.EntityFrameworkCore.Migrations.Operations.Builders;

namespace Understudy.Vault.Storage;

/// <summary>The first schema. Never changed once released; what comes after is a migration of its own.</summary>
[DbContext(typeof(VaultDb))]
[Migration("0001_ground")]
internal sealed class Migration0001Ground : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        Places(migrationBuilder);
        Vms(migrationBuilder);
        Jobs(migrationBuilder);
    }

    private static void Places(MigrationBuilder builder)
    {
        builder.CreateTable("settings", t => new { Key = Text(t), Value = Text(t) },
            constraints: t => t.PrimaryKey("PK_settings", row => row.Key));
        builder.CreateTable("sites", t => new { Id = Id(t), Name = Text(t) },
            constraints: t => t.PrimaryKey("PK_sites", row => row.Id));
        builder.CreateTable("registration_keys", t => new
        {
            Id = Id(t),
            SiteId = Id(t),
            SecretHash = Blob(t),
            CreatedAt = Number(t),
            ExpiresAt = Number(t),
            UsedAt = Number(t, nullable: true),
            UsedByHost = Id(t, nullable: true),
        }, constraints: t => t.PrimaryKey("PK_registration_keys", row => row.Id));
        builder.CreateTable("hosts", t => new
        {
            Id = Id(t),
            SiteId = Id(t),
            Name = Text(t),
            ReplicationEndpoint = Text(t),
            JoinedAt = Number(t),
            LastSeenAt = Number(t, nullable: true),
            FactsJson = Text(t, nullable: true),
        }, constraints: t => t.PrimaryKey("PK_hosts", row => row.Id));
        builder.CreateTable("tokens", t => new { Id = Id(t), Name = Text(t), Hash = Blob(t), CreatedAt = Number(t) },
            constraints: t => t.PrimaryKey("PK_tokens", row => row.Id));
        builder.CreateIndex("IX_sites_Name", "sites", "Name", unique: true);
        builder.CreateIndex("IX_registration_keys_SecretHash", "registration_keys", "SecretHash", unique: true);
        builder.CreateIndex("IX_hosts_Name", "hosts", "Name", unique: true);
        builder.CreateIndex("IX_tokens_Hash", "tokens", "Hash", unique: true);
    }

    private static void Vms(MigrationBuilder builder)
    {
        builder.CreateTable("vms", t => new { HostId = Id(t), VmId = Id(t), Name = Text(t), VmJson = Text(t) },
            constraints: t => t.PrimaryKey("PK_vms", row => new { row.HostId, row.VmId }));
        builder.CreateTable("policies", t => new
        {
            Name = Text(t),
            PolicyJson = Text(t),
        }, constraints: t => t.PrimaryKey("PK_policies", row => row.Name));
        builder.CreateTable("mappings", t => new
        {
            SourceSite = Id(t),
            SourceNetwork = Text(t),
            TargetSite = Id(t),
            TargetNetwork = Text(t),
            TestNetwork = Text(t, nullable: true),
            Automatic = Number(t),
        }, constraints: t => t.PrimaryKey("PK_mappings", row => new { row.SourceSite, row.SourceNetwork, row.TargetSite }));
        builder.CreateTable("protections", t => new
        {
            VmId = Id(t),
            Name = Text(t),
            SourceHost = Id(t),
            TargetHost = Id(t),
            Replica = Id(t),
            Line = Text(t, nullable: true),
            Policy = Text(t),
            TargetName = Text(t),
            NicsJson = Text(t),
            Cpus = Number(t, nullable: true),
            MemoryBytes = Number(t, nullable: true),
            ExcludedJson = Text(t),
            Stage = Text(t),
            PendingSince = Number(t, nullable: true),
            FailoverKind = Text(t, nullable: true),
            RanAtSource = Number(t),
            CountdownJob = Number(t, nullable: true),
            BookmarkedUntil = Number(t, nullable: true),
            SourceReportJson = Text(t, nullable: true),
            TargetReportJson = Text(t, nullable: true),
        }, constraints: t => t.PrimaryKey("PK_protections", row => row.VmId));
        builder.CreateTable("tests", t => new
        {
            Id = Id(t),
            VmId = Id(t),
            VmName = Text(t),
            Point = Text(t),
            JobId = Number(t),
            StartedAt = Number(t),
            Label = Text(t, nullable: true),
        }, constraints: t => t.PrimaryKey("PK_tests", row => row.Id));
        builder.CreateTable("retired", t => new
        {
            Replica = Id(t),
            VmId = Id(t),
            VmName = Text(t),
            SourceHost = Id(t),
            ReportJson = Text(t, nullable: true),
        }, constraints: t => t.PrimaryKey("PK_retired", row => row.Replica));
        builder.CreateTable("rpo", t => new
        {
            VmId = Id(t),
            At = Number(t),
            WorstSeconds = t.Column<double>("REAL", nullable: false),
        }, constraints: t => t.PrimaryKey("PK_rpo", row => new { row.VmId, row.At }));
        builder.CreateTable("cleanups", t => new
        {
            OperationId = Id(t),
            HostId = Id(t),
            VmId = Id(t),
            Replica = Id(t),
            VmName = Text(t),
            Side = Text(t),
            KeepGuard = Number(t),
            Line = Text(t, nullable: true),
            MintedAt = Number(t, nullable: true),
        }, constraints: t => t.PrimaryKey("PK_cleanups", row => row.OperationId));
        builder.CreateIndex("IX_vms_Name", "vms", "Name");
        builder.CreateIndex("IX_vms_VmId", "vms", "VmId");
        builder.CreateIndex("IX_tests_VmId", "tests", "VmId");
        builder.CreateIndex("IX_retired_VmId", "retired", "VmId");
        builder.CreateIndex("IX_cleanups_HostId", "cleanups", "HostId");
    }

    private static void Jobs(MigrationBuilder builder)
    {
        builder.CreateTable("jobs", t => new
        {
            Id = Counter(t),
            Name = Text(t),
            Action = Text(t),
            VmId = Id(t),
            VmName = Text(t),
            State = Text(t),
            Wait = Text(t),
            RequestedBy = Text(t),
            CreatedAt = Number(t),
            EndedAt = Number(t, nullable: true),
            InputJson = Text(t),
            Note = Text(t, nullable: true),
            Completed = Number(t),
            CancelRequestedBy = Text(t, nullable: true),
            MadeJson = Text(t),
            ErrorJson = Text(t, nullable: true),
            Revision = Number(t),
        }, constraints: t => t.PrimaryKey("PK_jobs", row => row.Id));
        builder.CreateTable("job_steps", t => new
        {
            JobId = Number(t),
            Number = Number(t),
            Kind = Text(t),
            Title = Text(t),
            State = Text(t),
            Attempt = Number(t),
            OperationId = Id(t),
            StartedAt = Number(t, nullable: true),
            EndedAt = Number(t, nullable: true),
            Progress = t.Column<double>("REAL", nullable: true),
            Detail = Text(t, nullable: true),
            ErrorJson = Text(t, nullable: true),
        }, constraints: t =>
        {
            t.PrimaryKey("PK_job_steps", row => new { row.JobId, row.Number });
            t.ForeignKey("FK_job_steps_jobs_JobId", row => row.JobId, "jobs", "Id", onDelete: ReferentialAction.Cascade);
        });
        builder.CreateTable("leases", t => new { VmId = Id(t), JobId = Number(t) },
            constraints: t => t.PrimaryKey("PK_leases", row => row.VmId));
        builder.CreateTable("events", t => new
        {
            Id = Counter(t),
            At = Number(t),
            Severity = Text(t),
            Kind = Text(t),
            VmId = Id(t, nullable: true),
            HostId = Id(t, nullable: true),
            Text = Text(t),
        }, constraints: t => t.PrimaryKey("PK_events", row => row.Id));
        builder.CreateIndex("IX_jobs_State", "jobs", "State");
    }

    private static OperationBuilder<AddColumnOperation> Text(ColumnsBuilder t, bool nullable = false) => t.Column<string>("TEXT", nullable: nullable);

    private static OperationBuilder<AddColumnOperation> Id(ColumnsBuilder t, bool nullable = false) => t.Column<Guid>("TEXT", nullable: nullable);

    private static OperationBuilder<AddColumnOperation> Number(ColumnsBuilder t, bool nullable = false) => t.Column<long>("INTEGER", nullable: nullable);

    private static OperationBuilder<AddColumnOperation> Blob(ColumnsBuilder t) => t.Column<byte[]>("BLOB", nullable: false);

    private static OperationBuilder<AddColumnOperation> Counter(ColumnsBuilder t) =>
        t.Column<long>("INTEGER", nullable: false).Annotation("Sqlite:Autoincrement", true);
}
