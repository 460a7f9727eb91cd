using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Understudy.Vault.Storage;

/// <summary>Which site of two listens for the other.</summary>
[DbContext(typeof(VaultDb))]
[Migration("0006_site_links")]
internal sealed class Migration0006SiteLinks : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.CreateTable("site_links", t => new
        {
            One = t.Column<Guid>("TEXT", nullable: false),
            Other = t.Column<Guid>("TEXT", nullable: false),
            Listens = t.Column<Guid>("TEXT", nullable: false),
        }, constraints: t => t.PrimaryKey("PK_site_links", row => new { row.One, row.Other }));
    }
}
