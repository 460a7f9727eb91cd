using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Understudy.Vault.Storage;

/// <summary>Hosts that are being worked on.</summary>
[DbContext(typeof(VaultDb))]
[Migration("0003_maintenance")]
internal sealed class Migration0003Maintenance : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.AddColumn<string>("MaintenanceJson", "hosts", "TEXT", nullable: true);
}
