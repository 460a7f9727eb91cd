using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Tests;

/// <summary>What is written down agrees with what is built: the OpenAPI document and the schema.</summary>
public sealed class DocumentTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Document_lists_every_route_with_its_body_and_its_problem()
    {
        await using Lab lab = await Lab.StartAsync();
        using HttpClient http = lab.Http();
        using JsonDocument document = JsonDocument.Parse(await http.GetStringAsync("openapi/v1.json", Ct));
        string[] documented = [.. document.RootElement.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(operation => $"{operation.Name.ToUpperInvariant()} {path.Name}"))
            .Order(StringComparer.Ordinal)];

        Assert.Equal(lab.Server.Routes.Order(StringComparer.Ordinal), documented);
        Assert.True(documented.Length >= 35, $"only {documented.Length} routes");
        foreach (JsonProperty path in document.RootElement.GetProperty("paths").EnumerateObject())
        {
            foreach (JsonProperty operation in path.Value.EnumerateObject())
            {
                Assert.NotEmpty(operation.Value.GetProperty("operationId").GetString()!);
                Assert.NotEmpty(operation.Value.GetProperty("summary").GetString()!);
                Assert.True(operation.Value.GetProperty("responses").TryGetProperty("default", out _), path.Name);
            }
        }
    }

    [Fact]
    public async Task Document_knows_the_words_of_states()
    {
        await using Lab lab = await Lab.StartAsync();
        using HttpClient http = lab.Http();
        string document = await http.GetStringAsync("openapi/v1.json", Ct);

        Assert.Contains("\"commit pending\"", document, StringComparison.Ordinal);
        Assert.Contains("\"waiting for test completion\"", document, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Migrations_make_the_schema_the_model_means()
    {
        string folder = Directory.CreateTempSubdirectory("us-vault-schema-").FullName;
        try
        {
            await VaultStorage.OpenAsync(Path.Combine(folder, "migrated.db"), Ct);
            await using VaultDb migrated = new(VaultStorage.OptionsFor(Path.Combine(folder, "migrated.db")));
            await using VaultDb model = new(VaultStorage.OptionsFor(Path.Combine(folder, "model.db")));
            await model.Database.EnsureCreatedAsync(Ct);

            Assert.Equal(await SchemaAsync(model), await SchemaAsync(migrated));
        }
        finally
        {
            Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Every_connection_waits_for_others_and_flushes_what_it_promises()
    {
        string folder = Directory.CreateTempSubdirectory("us-vault-pragmas-").FullName;
        try
        {
            VaultStorage storage = await VaultStorage.OpenAsync(Path.Combine(folder, "vault.db"), Ct);
            await using VaultDb db = storage.Open();

            Assert.Equal("wal", await db.Database.SqlQueryRaw<string>("SELECT journal_mode AS Value FROM pragma_journal_mode").SingleAsync(Ct));
            Assert.Equal(2, await db.Database.SqlQueryRaw<int>("SELECT synchronous AS Value FROM pragma_synchronous").SingleAsync(Ct));
            Assert.Equal(10_000, await db.Database.SqlQueryRaw<int>("SELECT timeout AS Value FROM pragma_busy_timeout").SingleAsync(Ct));
        }
        finally
        {
            Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Tables, columns, keys and indexes, without the wording of the statements that made them.</summary>
    private static async Task<IReadOnlyList<string>> SchemaAsync(VaultDb db)
    {
        const string Columns = """
            SELECT m.name || '.' || c.name || ' ' || c.type || ' notnull=' || c."notnull" || ' pk=' || c.pk AS Value
            FROM sqlite_master m JOIN pragma_table_info(m.name) c
            WHERE m.type = 'table' AND m.name NOT LIKE '\_\_EF%' ESCAPE '\' AND m.name NOT LIKE 'sqlite%'
            """;
        const string Indexes = """
            SELECT m.name || ' ' || i.name || ' unique=' || i."unique" || ' ' || (SELECT group_concat(k.name) FROM pragma_index_info(i.name) k) AS Value
            FROM sqlite_master m JOIN pragma_index_list(m.name) i WHERE m.type = 'table' AND m.name NOT LIKE '\_\_EF%' ESCAPE '\'
            """;
        const string Counters = "SELECT name AS Value FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'";
        List<string> schema = [];
        foreach (string query in new[] { Columns, Indexes, Counters })
        {
            schema.AddRange((await db.Database.SqlQueryRaw<string>(query).ToListAsync()).Order(StringComparer.Ordinal));
        }

        return schema;
    }
}
