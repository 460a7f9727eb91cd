using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Events;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Agents;

/// <summary>What agents tell becomes what the vault knows. The agents are right: where they contradict the vault, it follows.</summary>
internal sealed class AgentNews(
    VaultStorage storage, ReportNews reports, HostDuties duties, Reunions reunions, MappingStore mappings, EventJournal events, TimeProvider time)
{
    public async ValueTask OnHelloAsync(HostId host, AgentHello hello, CancellationToken cancellationToken)
    {
        HostRow row;
        bool first;
        await using (VaultDb db = storage.Open())
        {
            row = await db.Hosts.SingleAsync(candidate => candidate.Id == host.Value, cancellationToken);
            first = row.LastSeenAt is null;
            row.ReplicationEndpoint = hello.ReplicationEndpoint;
            row.LastSeenAt = time.GetUtcNow();
            await db.SaveChangesAsync(cancellationToken);
        }

        await OnFactsAsync(host, hello.Facts, cancellationToken);
        if (first)
        {
            await CheckAsync(row, hello.Facts, cancellationToken);
        }

        if (hello.Vms is { } vms)
        {
            await OnInventoryAsync(host, new Inventory(vms), cancellationToken);
        }

        foreach (SourceReport report in hello.Sources)
        {
            await OnSourceAsync(host, report, cancellationToken);
        }

        foreach (TargetReport report in hello.Targets)
        {
            await OnTargetAsync(host, report, cancellationToken);
        }

        foreach (ReplicaUnavailable replica in hello.Unavailable ?? [])
        {
            await OnUnavailableAsync(host, replica, cancellationToken);
        }
    }

    /// <summary>On joining (REG-4): is the host fit? Later it is asked before each use. The clocks have not been compared yet.</summary>
    private async ValueTask CheckAsync(HostRow host, HostFacts facts, CancellationToken cancellationToken)
    {
        CheckResult[] poor =
        [
            .. HostChecks.Evaluate(host.Name, online: true, facts, TimeSpan.Zero).Select(finding => finding.Check)
                .Where(check => check.Level != CheckLevel.Pass)
                .OrderByDescending(check => check.Level),
        ];
        HealthLevel severity = poor.Any(check => check.Level == CheckLevel.Error) ? HealthLevel.Critical : poor.Length > 0 ? HealthLevel.Warning : HealthLevel.Normal;
        string text = poor.Length == 0
            ? $"{host.Name} was checked on joining: fit for both parts."
            : $"{host.Name} was checked on joining. {string.Join(" ", poor.Select(check => $"{check.Name}, {check.Level.Word()}: {check.Finding.TrimEnd('.')}. {check.Remedy}"))}";
        await events.AddAsync(severity, "host-checked", null, host.Id, text, cancellationToken);
    }

    public async ValueTask OnOnlineAsync(HostId host, CancellationToken cancellationToken)
    {
        await events.AddAsync(HealthLevel.Normal, "host-online", null, host.Value, "The agent connected.", cancellationToken);
        duties.Post(host);
        await using VaultDb db = storage.Open();
        foreach (Guid vm in await db.Protections.Where(row => row.SourceHost == host.Value || row.TargetHost == host.Value).Select(row => row.VmId).ToListAsync(cancellationToken))
        {
            reunions.Post(new VmId(vm)); // its reports came before it was known as connected
        }
    }

    public async ValueTask OnOfflineAsync(HostId host, string why)
    {
        await using VaultDb db = storage.Open();
        DateTimeOffset now = time.GetUtcNow();
        await db.Hosts.Where(row => row.Id == host.Value).ExecuteUpdateAsync(row => row.SetProperty(r => r.LastSeenAt, now), CancellationToken.None);
        await events.AddAsync(HealthLevel.Warning, "host-offline", null, host.Value, $"The agent is no longer connected: {why}.", CancellationToken.None);
    }

    public async ValueTask OnFactsAsync(HostId host, HostFacts facts, CancellationToken cancellationToken)
    {
        string json = VaultJson.Write(facts, VaultJson.Default.HostFacts);
        await using VaultDb db = storage.Open();
        await db.Hosts.Where(row => row.Id == host.Value).ExecuteUpdateAsync(row => row.SetProperty(r => r.FactsJson, json), cancellationToken);
        await mappings.FillInAsync(cancellationToken);
    }

    public async ValueTask OnInventoryAsync(HostId host, Inventory inventory, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken); // the session that this one takes the place of may be at it too
        Dictionary<Guid, VmRow> known = await db.Vms.Where(row => row.HostId == host.Value).ToDictionaryAsync(row => row.VmId, cancellationToken);
        foreach (DiscoveredVm vm in inventory.Vms)
        {
            string json = VaultJson.Write(vm, VaultJson.Default.DiscoveredVm);
            if (known.Remove(vm.Id.Value, out VmRow? row))
            {
                row.Name = vm.Name;
                row.VmJson = json;
            }
            else
            {
                db.Vms.Add(new VmRow { HostId = host.Value, VmId = vm.Id.Value, Name = vm.Name, VmJson = json });
            }
        }

        db.Vms.RemoveRange(known.Values);
        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    public ValueTask OnSourceAsync(HostId host, SourceReport report, CancellationToken cancellationToken) => reports.OnSourceAsync(host, report, cancellationToken);

    public ValueTask OnTargetAsync(HostId host, TargetReport report, CancellationToken cancellationToken) => reports.OnTargetAsync(host, report, cancellationToken);

    public ValueTask OnUnavailableAsync(HostId host, ReplicaUnavailable replica, CancellationToken cancellationToken) =>
        reports.OnUnavailableAsync(host, replica, cancellationToken);

    public async ValueTask OnEventAsync(HostId host, AgentEvent news, CancellationToken cancellationToken) =>
        await events.AddAsync(news.At, news.Severity, news.Kind, news.Vm?.Value, host.Value, news.Text, cancellationToken);
}
