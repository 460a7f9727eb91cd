using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Events;
using Understudy.Vault.Protection;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Agents;

/// <summary>What agents tell becomes what the vault knows. The agents are right: where they contradict the vault, it follows.</summary>
internal sealed class AgentNews(
    VaultStorage storage, ReportBoard board, HostDuties duties, MappingStore mappings, EventJournal events, Changes changes, TimeProvider time)
{
    private readonly ConcurrentDictionary<ReplicaId, bool> _strangers = new(); // replicas already told of

    public async ValueTask OnHelloAsync(HostId host, AgentHello hello, CancellationToken cancellationToken)
    {
        await using (VaultDb db = storage.Open())
        {
            HostRow row = await db.Hosts.SingleAsync(candidate => candidate.Id == host.Value, cancellationToken);
            row.ReplicationEndpoint = hello.ReplicationEndpoint;
            row.LastSeenAt = time.GetUtcNow();
            await db.SaveChangesAsync(cancellationToken);
        }

        await OnFactsAsync(host, hello.Facts, cancellationToken);
        await OnInventoryAsync(host, new Inventory(hello.Vms), cancellationToken);
        foreach (SourceReport report in hello.Sources)
        {
            await OnSourceAsync(host, report, cancellationToken);
        }

        foreach (TargetReport report in hello.Targets)
        {
            await OnTargetAsync(host, report, cancellationToken);
        }
    }

    public async ValueTask OnOnlineAsync(HostId host, CancellationToken cancellationToken)
    {
        await events.AddAsync(HealthLevel.Normal, "host-online", null, host.Value, "The agent connected.", cancellationToken);
        duties.Post(host);
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
    }

    public async ValueTask OnSourceAsync(HostId host, SourceReport report, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        ProtectionRow? row = await db.Protections.SingleOrDefaultAsync(candidate => candidate.VmId == report.Vm.Value, cancellationToken);
        if (row is null || row.SourceHost != host.Value || row.Replica != report.Replica.Value)
        {
            await TellStrangerAsync(host, report.Vm, report.Replica, "sends", cancellationToken);
            return;
        }

        ErrorInfo? before = board.Get(report.Vm).Source?.Error;
        PolicyRow policy = await PolicyStore.FindAsync(db, row.Policy, cancellationToken);
        board.Set(report.Vm, report, time.GetUtcNow(), TimeSpan.FromSeconds(policy.FrequencySeconds));
        row.SourceReportJson = VaultJson.Write(report, VaultJson.Default.SourceReport);
        await db.SaveChangesAsync(cancellationToken);
        changes.Publish(Changes.Vm(row.VmId));
        if (report.Error is { } error && before?.Code != error.Code)
        {
            await events.AddAsync(HealthLevel.Warning, "replication-stopped", row.VmId, host.Value, $"{row.Name}: {error}", cancellationToken);
        }
        else if (report.Error is null && before is not null)
        {
            await events.AddAsync(HealthLevel.Normal, "replication-resumed", row.VmId, host.Value, $"{row.Name} is being replicated again.", cancellationToken);
        }
    }

    public async ValueTask OnTargetAsync(HostId host, TargetReport report, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        ProtectionRow? row = await db.Protections.SingleOrDefaultAsync(candidate => candidate.VmId == report.Vm.Value, cancellationToken);
        if (row is null || row.TargetHost != host.Value || row.Replica != report.Replica.Value)
        {
            await TellStrangerAsync(host, report.Vm, report.Replica, "holds", cancellationToken);
            return;
        }

        board.Set(report.Vm, report);
        row.TargetReportJson = VaultJson.Write(report, VaultJson.Default.TargetReport);
        row.Line = report.Line.ToString();
        bool inOperation = await db.Leases.AnyAsync(lease => lease.VmId == row.VmId, cancellationToken);
        ProtectionStage stage = Enum.Parse<ProtectionStage>(row.Stage);
        if (!inOperation && Standing.Reconcile(stage, report) is { } reported)
        {
            row.Stage = reported.ToString();
        }

        await db.SaveChangesAsync(cancellationToken);
        changes.Publish(Changes.Vm(row.VmId));
    }

    public async ValueTask OnEventAsync(HostId host, AgentEvent news, CancellationToken cancellationToken) =>
        await events.AddAsync(news.At, news.Severity, news.Kind, news.Vm?.Value, host.Value, news.Text, cancellationToken);

    /// <summary>Something of ours stands on a host and no list shows it: say so, once.</summary>
    private async Task TellStrangerAsync(HostId host, VmId vm, ReplicaId replica, string does, CancellationToken cancellationToken)
    {
        if (_strangers.TryAdd(replica, true))
        {
            await events.AddAsync(HealthLevel.Warning, "replica-unknown", vm.Value, host.Value,
                $"The host {does} replica {replica} of VM {vm}, which this vault does not know.", cancellationToken);
        }
    }
}
