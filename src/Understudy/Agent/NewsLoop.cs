using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Understudy.Api.Control;
using Understudy.Api.Json;
using Understudy.Model;
using Understudy.Protection.Ports;

namespace Understudy.Agent;

/// <summary>
/// Tells the vault what changed: each VM's reports once a second, the inventory and the host's facts each few seconds, and
/// within a second when libvirt says that a VM started, ended, came or went.
/// Compared as the JSON that would be sent, so that what did not change costs nothing on the wire.
/// </summary>
internal sealed class NewsLoop(HostView view, VaultLink link, IVmEvents events, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    /// <summary>Asking libvirt for every VM's facts costs it milliseconds a VM.</summary>
    private const int InventoryEveryBeats = 3;

    private const int FactsEveryBeats = 30;

    private readonly Lock _lock = new(); // guards _sent
    private readonly Dictionary<string, string> _sent = [];

    private volatile bool _vmsChanged;

    /// <summary>Beside <see cref="RunAsync"/>.</summary>
    public async Task WatchAsync(CancellationToken cancellationToken)
    {
        await foreach (VmEvent happened in events.WatchAsync(cancellationToken))
        {
            _vmsChanged |= happened.Kind == VmEventKind.Lifecycle;
        }
    }

    /// <summary>The reports; a loop of their own, which a slow hypervisor does not hold up.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using PeriodicTimer timer = new(Beat, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            TellReports();
        }
    }

    /// <summary>What the hypervisor says: its VMs, and the host's facts.</summary>
    public async Task LookAsync(CancellationToken cancellationToken)
    {
        using PeriodicTimer timer = new(Beat, time);
        for (long beat = 0; await timer.WaitForNextTickAsync(cancellationToken); beat++)
        {
            try
            {
                await LookAsync(beat, cancellationToken);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                // News are a convenience; what stands on this host must not fall because one of them could not be made.
                AgentLog.NewsNotMade(logger, e.Message, e);
            }
        }
    }

    /// <summary>The reports of all protected VMs, as far as they have changed.</summary>
    public void TellReports()
    {
        try
        {
            PostReports();
        }
        catch (Exception e)
        {
            AgentLog.NewsNotMade(logger, e.Message, e); // as below
        }
    }

    private async Task LookAsync(long beat, CancellationToken cancellationToken)
    {
        bool changed = _vmsChanged;
        _vmsChanged = false; // before the look: what happens during it is looked at again
        if ((changed || beat % InventoryEveryBeats == 0) && await view.InventoryAsync(cancellationToken) is { } inventory)
        {
            IfChanged("inventory", inventory, ApiJson.Default.Inventory, link.Post);
        }

        if (beat % FactsEveryBeats == 0)
        {
            IfChanged("facts", await view.FactsAsync(cancellationToken), ApiJson.Default.HostFacts, link.Post);
        }
    }

    /// <summary>Under the lock from the look on: what was seen first is posted first.</summary>
    private void PostReports()
    {
        lock (_lock)
        {
            foreach (SourceReport report in view.Sources())
            {
                IfChanged($"source/{report.Vm}", report, ApiJson.Default.SourceReport, link.Post);
            }

            foreach (TargetReport report in view.Targets())
            {
                IfChanged($"target/{report.Replica}", report, ApiJson.Default.TargetReport, link.Post);
            }

            foreach (ReplicaUnavailable replica in view.Unavailable())
            {
                IfChanged($"unavailable/{replica.Vm}", replica, ApiJson.Default.ReplicaUnavailable, link.Post);
            }
        }
    }

    private void IfChanged<T>(string key, T state, JsonTypeInfo<T> type, Action<T> post)
    {
        string text = JsonSerializer.Serialize(state, type);
        lock (_lock)
        {
            if (!_sent.TryGetValue(key, out string? before) || before != text)
            {
                _sent[key] = text;
                post(state);
            }
        }
    }
}
