using System.Text.Json;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Simulation.Sites.Agents;

namespace Understudy.Simulation.Sites.Vault;

/// <summary>The way to the agents. A message can be lost on either way, and who asked does not know on which.</summary>
internal sealed partial class ModelVault
{
    private static readonly TimeSpan HostReturnLimit = TimeSpan.FromMinutes(4);

    public bool IsConnected(Site site) => site.Agent is not null && _world.IsOpen(_world.VaultHost, site.Host);

    /// <summary>Asks a host to do its part, once: a lost connection is waited out and the same operation asked for again.</summary>
    /// <exception cref="StepFailedException">The agent refused, or did not come back in time.</exception>
    private async Task<TAnswer> AskAsync<TRequest, TAnswer>(Site site, StepRow step, AgentMethod<TRequest, TAnswer> method, TRequest body, bool isCancelled = false)
    {
        while (true)
        {
            await WaitForHostAsync(site);
            if (await TryAskAsync(site, method, method.ChangesThings ? step.Operation : null, body) is { } response)
            {
                return response.Error is { } refused
                    ? throw new StepFailedException(refused.Error.Code, refused.Error.ToString())
                    : response.Body!.Value.Deserialize(method.Answer)!; // One of the two is set, and no answer is null.
            }

            _world.Context.Counters.Add("vault: an order was repeated");
        }
    }

    /// <summary>Null when the connection was lost, before or after the agent had heard it.</summary>
    private async Task<ResponseMessage?> TryAskAsync<TRequest, TAnswer>(Site site, AgentMethod<TRequest, TAnswer> method, OperationId? operation, TRequest body)
    {
        long cuts = _world.Network.Cuts;
        if (!await TravelAsync(site) || site.Agent is not { } agent)
        {
            return null;
        }

        try
        {
            ResponseMessage response = await agent.AnswerAsync(method, operation, body);
            if (response.Error is { Class: FaultClass.Fatal } broken && broken.Error.Code == "agent-fault")
            {
                _world.Context.Violations.Report("crash", $"{method.Name}: {broken.Error}");
            }

            bool cut = _world.Network.Cuts != cuts && _random.Chance(0.5);
            return await TravelAsync(site) && !cut ? response : null;
        }
        catch (IOException)
        {
            return null; // The agent is gone.
        }
        catch (StorageException)
        {
            return null; // Its log of outcomes failed, and the agent ends of that.
        }
    }

    /// <summary>False when nothing got through until the channel's silence limit.</summary>
    private async Task<bool> TravelAsync(Site site)
    {
        await _process.TakeTimeAsync(_random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(30)));
        long limit = _world.Simulator.NowTicks + ControlLimits.SilenceLimit.Ticks;
        while (!_world.IsOpen(_world.VaultHost, site.Host))
        {
            if (_world.Simulator.NowTicks > limit)
            {
                return false;
            }

            await _process.TakeTimeAsync(TimeSpan.FromSeconds(2));
        }

        return true;
    }

    private async Task WaitForHostAsync(Site site)
    {
        long limit = _world.Simulator.NowTicks + HostReturnLimit.Ticks;
        while (!IsConnected(site))
        {
            if (_world.Simulator.NowTicks > limit)
            {
                throw new StepFailedException("host-went-away", site.Name);
            }

            await _process.TakeTimeAsync(TimeSpan.FromSeconds(2));
        }
    }

    /// <summary>What the agents push: read here as they are, which is what a push brings a moment later.</summary>
    private async Task ReadReportsAsync()
    {
        foreach (Site site in _world.Sites)
        {
            if (!IsConnected(site) || site.Agent is not { } agent)
            {
                continue;
            }

            await WriteAsync();
            foreach (SourceReport report in agent.Source.Reports())
            {
                Db.Sources[report.Vm] = report;
            }

            foreach (TargetReport report in agent.Target.Hosts.Select(agent.Target.ReportOf).ToArray())
            {
                if (Db.Protections.TryGetValue(report.Vm, out ProtectionRow? row) && row.Replica == report.Replica)
                {
                    Db.Targets[report.Vm] = report;
                    if (!Db.Leases.ContainsKey(report.Vm))
                    {
                        Follow(row);
                    }
                }
            }
        }
    }

    /// <summary>The agents are right and the vault follows, outside of a job.</summary>
    private void Follow(ProtectionRow row)
    {
        if (Db.Targets.TryGetValue(row.Vm, out TargetReport? target)
            && Standing.Reconcile(row.Stage, Db.Sources.GetValueOrDefault(row.Vm), target) is { } stage)
        {
            row.Stage = stage;
        }
    }

    /// <summary>A host that was away when a protection ended removes its part when it is back.</summary>
    private async Task CleanUpAsync()
    {
        foreach (CleanupRow row in Db.Cleanups.ToArray())
        {
            Site site = row.AtSource ? _world.Source : _world.Target;
            if (!IsConnected(site))
            {
                continue;
            }

            ResponseMessage? response = row.AtSource
                ? await TryAskAsync(site, AgentMethods.SourceUnprotect, row.Operation, new SourceUnprotectRequest(row.Vm, row.Replica, row.KeepGuard))
                : await TryAskAsync(site, AgentMethods.TargetUnprotect, row.Operation, new TargetUnprotectRequest(row.Vm, row.Replica));
            if (response is not null)
            {
                await WriteAsync();
                Db.Cleanups.Remove(row);
                if (response.Error is not null)
                {
                    Db.Cleanups.Add(row with { Operation = NewOperation() }); // A refusal is kept under its operation id.
                }
            }
        }
    }
}
