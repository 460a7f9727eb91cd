using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Understudy.Vault.Storage;

/// <summary>Where a VM goes at its target, for all runs and for one.</summary>
[DbContext(typeof(VaultDb))]
[Migration("0007_placement")]
internal sealed class Migration0007Placement : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.AddColumn<string>("PendingRunJson", "protections", "TEXT", nullable: true);
}
