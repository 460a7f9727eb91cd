using System.Text.Json;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Simulation.Running;

namespace Understudy.Simulation.Sites.Vault;

/// <summary>The way to the agents. A message can be lost on either way, and who asked does not know on which.</summary>
internal sealed partial class ModelVault
{
    private static readonly TimeSpan HostReturnLimit = TimeSpan.FromMinutes(4);

    private static readonly TimeSpan NewsLimit = TimeSpan.FromSeconds(20);

    /// <summary>VMs of which a side is being told something.</summary>
    private readonly HashSet<VmId> _reuniting = [];

    public bool IsConnected(Site site) => site.Agent is not null && _world.IsOpen(_world.VaultHost, site.Host);

    /// <summary>Asks a host to do its part, once: a lost connection is waited out and the same operation asked for again.</summary>
    /// <param name="limit">When the answer is not waited for any longer.</param>
    /// <exception cref="StepFailedException">The agent refused, or did not come back in time.</exception>
    private async Task<TAnswer> AskAsync<TRequest, TAnswer>(
        Site site, StepRow step, AgentMethod<TRequest, TAnswer> method, TRequest body, long limit = long.MaxValue)
    {
        CancelAt(limit, site, step.Operation);
        while (true)
        {
            if (_world.Simulator.NowTicks > limit)
            {
                throw new StepFailedException("too-slow", site.Name);
            }

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

    private async void CancelAt(long limit, Site site, OperationId operation)
    {
        if (limit < long.MaxValue)
        {
            await _process.TakeTimeAsync(TimeSpan.FromTicks(limit - _world.Simulator.NowTicks));
            site.Agent?.Cancel(operation);
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
            if (!await TravelAsync(site) || cut)
            {
                return null;
            }

            if (method.ChangesThings)
            {
                ReadReports(site); // News of what it has changed come before its answer.
            }

            return response;
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
            if (IsConnected(site))
            {
                await WriteAsync();
                ReadReports(site);
            }
        }

        ReuniteAll();
    }

    private void ReadReports(Site site)
    {
        if (site.Agent is not { } agent)
        {
            return;
        }

        if (site == _world.Source)
        {
            ReadSources(agent.Source.Reports());
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

    private void ReuniteAll()
    {
        foreach (VmWatch vm in _world.Vms)
        {
            Reunite(vm.Id);
        }
    }

    private void ReadSources(IReadOnlyList<SourceReport> reports)
    {
        foreach (SourceReport report in reports)
        {
            Db.Sources[report.Vm] = report;
        }

        foreach (VmId gone in Db.Sources.Keys.Where(vm => reports.All(r => r.Vm != vm)).ToArray())
        {
            Db.Sources.Remove(gone);
        }

    }

    /// <summary>The agents are right and the vault follows, outside of a job.</summary>
    private void Follow(ProtectionRow row)
    {
        SourceReport? source = Db.Sources.GetValueOrDefault(row.Vm);
        if (!Db.Targets.TryGetValue(row.Vm, out TargetReport? target) || Standing.Reconcile(row.Stage, source, target) is not { } stage)
        {
            return;
        }

        if (stage == ProtectionStage.CommitPending && row.Pending is null)
        {
            row.Put(new PendingFailover(target.Failover?.Kind ?? FailoverKind.Unplanned, source is not { Power: VmPower.Off or VmPower.Crashed }));
        }
        else if (stage is ProtectionStage.Replicating or ProtectionStage.FailedOver)
        {
            row.Put(null);
        }

        row.Stage = stage;
    }

    /// <summary>What one side is owed because of what the other says; a VM in a job is left to its job.</summary>
    private async void Reunite(VmId vm)
    {
        if (!Db.Protections.TryGetValue(vm, out ProtectionRow? row) || Db.Leases.ContainsKey(vm) || !IsConnected(_world.Target) || !_reuniting.Add(vm))
        {
            return;
        }

        ReplicaId replica = row.Replica;
        OwnershipInfo? source = Db.Sources.GetValueOrDefault(vm)?.Ownership;
        OwnershipInfo? target = Db.Targets.GetValueOrDefault(vm)?.Ownership;
        Owed? news = IsConnected(_world.Source) ? Reunion.Of(source, target) : Reunion.WithoutSource(source, target);
        if (_world.Context.Plant != Plant.KeepTheNews && news is { } owed)
        {
            _world.Context.Counters.Add($"vault: passed on {owed.GetType().Name}");
            OperationId operation = NewOperation();
            CancelAt(_world.Simulator.NowTicks + NewsLimit.Ticks, owed is Owed.Settle or Owed.RevalidateTarget ? _world.Target : _world.Source, operation);
            _ = await (owed switch
            {
                Owed.Depose told => TryAskAsync(
                    _world.Source, AgentMethods.SourceDepose, operation, new SourceDeposeRequest(vm, replica, told.Line, told.MintedAt, _world.Isolated)),
                Owed.HandOver told => TryAskAsync(
                    _world.Source, AgentMethods.SourceHandedOver, operation, new SourceHandedOverRequest(vm, replica, told.Transfer, told.Line)),
                Owed.Accept told => TryAskAsync(
                    _world.Source, AgentMethods.SourceAccept, operation, new SourceAcceptRequest(vm, replica, told.Transfer, told.Line, told.Parent, row.RanAtSource)),
                Owed.Settle told => TryAskAsync(_world.Target, AgentMethods.TransferSettled, operation, new TransferSettledRequest(replica, told.Transfer)),
                Owed.Revalidate told => TryAskAsync(
                    _world.Source, AgentMethods.SourceRevalidate, operation, new SourceRevalidateRequest(vm, replica, told.Line, told.MintedAt, told.Valid)),
                Owed.RevalidateTarget told => TryAskAsync(
                    _world.Target, AgentMethods.TargetRevalidate, operation, new TargetRevalidateRequest(replica, told.Line, told.Valid)),
                _ => throw new System.Diagnostics.UnreachableException(),
            });
        }

        _reuniting.Remove(vm);
    }

    private async void CleanUpAgainAndAgain()
    {
        while (true)
        {
            await _process.TakeTimeAsync(CleanUpEvery);
            await CleanUpAsync();
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
                ? await TryAskAsync(site, AgentMethods.SourceUnprotect, row.Operation, row.Retirement ?? new SourceUnprotectRequest(row.Vm, row.Replica))
                : await TryAskAsync(site, AgentMethods.TargetUnprotect, row.Operation, new TargetUnprotectRequest(row.Vm, row.Replica));
            if (response is not null)
            {
                await WriteAsync();
                Db.Cleanups.Remove(row);
                Removed? removed = response.Body is { } body ? body.Deserialize(AgentMethods.SourceUnprotect.Answer) : null;
                Db.Kept.AddRange(removed?.Kept ?? []);
                if (row.Retirement is not null && removed is not null)
                {
                    NoteKept(row.Replica, removed);
                }

                if (response.Error is { Error.Code: var refusal })
                {
                    bool isClaimed = Standing.WasClaimedMeanwhile(row.Retirement?.Line, refusal, Db.Sources.GetValueOrDefault(row.Vm));
                    Db.Cleanups.Add(row with { Operation = NewOperation(), Retirement = isClaimed ? null : row.Retirement }); // A refusal is kept under its operation id.
                    if (isClaimed)
                    {
                        Db.Retired.Remove(row.Replica);
                        _world.Owners.LookAtUnguarding(row.Vm, row.Retirement!.Line!.Value); // Asked for with a line only.
                        _world.Context.Counters.Add("claimed at its source, and ended with the VM staying at the target");
                    }
                }
            }
        }
    }
}
