using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Understudy.Vault.Storage;

/// <summary>Where a VM goes at its target, for all runs and for one.</summary>
[DbContext(typeof(VaultDb))]
[Migration("0007_placement")]
internal sealed class Migration0007Placement : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AddColumn<string>("PendingRunJson", "protections", "TEXT", nullable: true);
        migrationBuilder.AddColumn<string>("Pool", "protections", "TEXT", nullable: true);
        migrationBuilder.CreateTable("storage_mappings", t => new
        {
            SourceSite = t.Column<Guid>("TEXT", nullable: false),
            SourcePool = t.Column<string>("TEXT", nullable: false),
            TargetSite = t.Column<Guid>("TEXT", nullable: false),
            TargetPool = t.Column<string>("TEXT", nullable: false),
        }, constraints: t => t.PrimaryKey("PK_storage_mappings", row => new { row.SourceSite, row.SourcePool, row.TargetSite }));
    }
}
