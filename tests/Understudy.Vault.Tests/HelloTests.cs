using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Tests;

/// <summary>After a start of the vault all agents say hello at once, and one that dials again may overtake itself.</summary>
public sealed class HelloTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("us-hello-").FullName;
    private VaultStorage _storage = null!; // set by InitializeAsync, as the next
    private AgentNews _news = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _storage = await VaultStorage.OpenAsync(Path.Combine(_folder, "vault.db"), Ct);
        _news = new AgentNews(_storage, null!, null!, null!, new MappingStore(_storage, null!), null!, new MovableTime()); // no reports, no duties and no questions here
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Two_sessions_that_tell_the_same_inventory_at_once_agree()
    {
        HostId host = new(Guid.NewGuid());
        for (int round = 0; round < 20; round++)
        {
            Inventory inventory = new([Lab.Vm("web1"), Lab.Vm("web2")]);
            await TogetherAsync(() => _news.OnInventoryAsync(host, inventory, Ct));
        }

        await using VaultDb db = _storage.Open();
        Assert.Equal(2, db.Vms.Count());
    }

    [Fact]
    public async Task Two_hosts_that_bring_the_same_networks_at_once_get_them_mapped_once()
    {
        HostFacts facts = new("alpha", "0.1.0", null, "9.0.0", "7.2.22", true, 4, 16L << 30, 8L << 30, [], [new HostNetwork("default", true, false, "virbr0")],
            new StorageSpace("/r", 1, 1, null), new StorageSpace("/s", 1, 1, null));
        for (int round = 0; round < 8; round++)
        {
            await using VaultDb db = _storage.Open();
            SiteRow[] sites = [new SiteRow { Id = Guid.NewGuid(), Name = $"a{round}" }, new SiteRow { Id = Guid.NewGuid(), Name = $"b{round}" }];
            db.Sites.AddRange(sites);
            HostRow[] hosts = [.. sites.Select(site => new HostRow { Id = Guid.NewGuid(), SiteId = site.Id, Name = $"host-{site.Name}", ReplicationEndpoint = "h:7443", FactsJson = VaultJson.Write(facts, VaultJson.Default.HostFacts) })];
            db.Hosts.AddRange(hosts);
            await db.SaveChangesAsync(Ct);
            await TogetherAsync(() => _news.OnFactsAsync(new HostId(hosts[0].Id), facts, Ct));
        }
    }

    private static Task TogetherAsync(Func<ValueTask> tell) => Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Run(async () => await tell(), Ct)));
}
