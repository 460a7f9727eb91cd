using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Understudy.Vault.Storage;

/// <summary>What administering hosts and the vault itself needs.</summary>
[DbContext(typeof(VaultDb))]
[Migration("0002_administration")]
internal sealed class Migration0002Administration : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable("vault_copies", t => new
        {
            HostId = t.Column<Guid>("TEXT", nullable: false),
            Name = t.Column<string>("TEXT", nullable: false),
            TakenAt = t.Column<long>("INTEGER", nullable: false),
            Bytes = t.Column<long>("INTEGER", nullable: false),
        }, constraints: t => t.PrimaryKey("PK_vault_copies", row => new { row.HostId, row.Name }));
    }
}
