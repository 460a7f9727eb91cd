using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Simulation.Faults;
using Understudy.Simulation.Sites.Vault;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Sites;

/// <summary>Somebody who types every command at any moment, most of them at a bad one.</summary>
internal sealed partial class ModelUser(SitesWorld world)
{
    private readonly SitesWorld _world = world;
    private readonly SimRandom _random = world.Context.Random.Fork(50);
    private readonly bool _changesDisks = world.Context.Random.Fork(53).Chance(0.3);
    private readonly SwarmWeights<VmCommand> _commands = new(world.Context.Random.Fork(51), absent: 0.3);

    /// <summary>Does not wait for the first copy, and types fastest where a state does not last.</summary>
    public bool IsHasty { get; } = world.Context.Random.Fork(52).Chance(0.3);

    /// <summary>Asks for the protection of every VM and looks no further.</summary>
    public async Task ProtectAsync()
    {
        while (_world.Vault is null)
        {
            await _world.Simulator.DelayAsync(TimeSpan.FromSeconds(1));
        }

        foreach (VmWatch vm in _world.Vms)
        {
            await OrderAsync(vm, VmCommand.Protect);
        }
    }

    public async Task RunAsync()
    {
        TimeSpan pace = _random.Between(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(30));
        while (!_world.Context.HasDoneEnough)
        {
            VmWatch vm = _random.Pick(_world.Vms);
            bool passes = IsHasty && _world.Database.Situation(vm).State is ProtectionState.Preparing or ProtectionState.FirstCopy
                or ProtectionState.Resynchronising or ProtectionState.TargetFull or ProtectionState.FailingOver;
            bool isUntold = _world.CutsHandOvers && _world.IsUntold(vm);
            await _world.Simulator.DelayAsync((passes || isUntold ? pace * 0.03 : pace) * (0.2 + _random.NextFraction()));
            try
            {
                await (isUntold ? GoOnWithoutSourceAsync(vm) : ActAsync(vm));
            }
            catch (IOException)
            {
                // The vault died while it was asked: the user does not know what came of it.
            }
        }
    }

    public Task<string?> OrderAsync(VmWatch vm, VmCommand command) => _world.Vault is { } vault
        ? vault.OrderAsync(vm, command, (input, situation) => Fill(vm, command, input, situation))
        : Task.FromResult<string?>("vault-away");

    /// <summary>The VM is given back, or its protection ended, before its source has heard that it was taken.</summary>
    private Task GoOnWithoutSourceAsync(VmWatch vm) => _world.Database.Situation(vm).State switch
    {
        ProtectionState.CommitPending => OrderAsync(vm, _random.Chance(0.5) ? VmCommand.Cancel : VmCommand.Commit),
        ProtectionState.FailedOver => OrderAsync(vm, VmCommand.Unprotect),
        _ => Task.CompletedTask, // It is being started, or ended.
    };

    private async Task ActAsync(VmWatch vm)
    {
        if (_world.CutsHandOvers && _random.Chance(0.2))
        {
            await OrderAsync(vm, VmCommand.PlannedFailover);
            return;
        }

        switch (_random.Next(10))
        {
            case < 6 when _commands.Next(_random) is { } command:
                await OrderAsync(vm, command);
                break;
            case < 8 when _world.Vault is { } vault && _world.Database.JobsOf(vm.Id).ToArray() is { Length: > 0 } jobs:
                await MeddleAsync(vault, _random.Chance(0.7) ? jobs[^1] : _random.Pick(jobs));
                break;
            case 8:
                await (_random.Chance(0.3) ? ClaimAsync(vm) : OrderAtHostAsync(vm));
                break;
            default:
                await MeddleAtHostAsync(vm);
                break;
        }
    }

    private async Task MeddleAsync(ModelVault vault, JobRow job)
    {
        switch (_random.Next(3))
        {
            case 0:
                await vault.AnswerAsync(job, _random.Chance(0.5));
                break;
            case 1:
                await vault.CancelAsync(job);
                break;
            default:
                await vault.RetryAsync(job);
                break;
        }
    }

    /// <summary>What somebody does at a host past Understudy.</summary>
    private async Task MeddleAtHostAsync(VmWatch vm)
    {
        Site site = _random.Chance(0.5) ? _world.Source : _world.Target;
        if (!site.Host.IsUp || site.Machine.Find(vm.Id) is not { } domain)
        {
            return;
        }

        switch (_random.Next(6))
        {
            case 5 when _changesDisks && domain.TryChangeDisks(_random):
                _world.Context.Counters.Add("user: changes the disks");
                break;
            case 0 or 1 when domain.Qemu is null:
                _world.Context.Counters.Add("user: starts the VM by hand");
                await domain.StartAsync();
                break;
            case 2 when domain.Qemu is { } qemu && _random.Chance(0.3):
                _world.Context.Counters.Add("user: shuts the VM down by hand");
                qemu.RequestShutdown();
                break;
            case 3:
                domain.IgnoredShutdowns = _random.Next(3);
                break;
            case 4:
                domain.Autostart = !domain.Autostart;
                break;
            default:
                break;
        }
    }

    /// <summary>Orders at the target's own command line, of which the vault only hears.</summary>
    private async Task OrderAtHostAsync(VmWatch vm)
    {
        if (_world.Target.Agent is not { } agent || _world.Database.Protections.GetValueOrDefault(vm.Id) is not { } row || !_random.Chance(0.3))
        {
            return;
        }

        var operation = new OperationId(_world.Ids.NewGuid());
        switch (_random.Next(4))
        {
            case 0 when vm.Ledger(row.Replica).Newest is { } newest:
                _world.Context.Counters.Add("user: fails over at the target");
                vm.Words++;
                await agent.AnswerAsync(AgentMethods.FailoverStart, operation, new FailoverStartRequest(
                    vm.Id, row.Replica, newest.Id, vm.Name, [new NicPlan(Machines.DomainXml.Mac, "office-here", null, null)]));
                break;
            case 1:
                _world.Context.Counters.Add("user: cancels at the target");
                await agent.AnswerAsync(AgentMethods.FailoverCancel, operation, new FailoverCancelRequest(
                    vm.Id, row.Replica, new TransferId(_world.Ids.NewGuid()), _world.Source.Id, 7, Start: true));
                break;
            case 2 when _random.Chance(0.3):
                _world.Context.Counters.Add("user: commits at the target");
                await agent.AnswerAsync(AgentMethods.Commit, operation, new CommitRequest(vm.Id, row.Replica));
                break;
            default:
                break;
        }
    }

    /// <summary>The word that the VM belongs to the source, at that host's own command line.</summary>
    private async Task ClaimAsync(VmWatch vm)
    {
        if (_world.Source.Agent is { } agent && _world.Database.Protections.GetValueOrDefault(vm.Id) is { } row && _random.Chance(0.3))
        {
            _world.Context.Counters.Add("user: claims at the source");
            vm.Claims++;
            await agent.AnswerAsync(LocalMethods.Claim, new OperationId(_world.Ids.NewGuid()), new LocalClaimRequest(vm.Id, row.Replica, _random.Chance(0.7)));
        }
    }

    private JobInput? Fill(VmWatch vm, VmCommand command, JobInput input, VmSituation situation)
    {
        bool endsIt = command == VmCommand.Unprotect || (command == VmCommand.Commit && _random.Chance(0.5));
        if (endsIt && !_world.IsCalm && _random.Chance(0.7))
        {
            return null;
        }

        RecoveryPointId? point = ChoosePoint(vm, input.Replica);
        BranchInfo? branch = _world.Database.Targets.GetValueOrDefault(vm.Id)?.Branches is { Count: > 0 } branches ? _random.Pick([.. branches]) : null;
        ProtectionRow? row = _world.Database.Protections.GetValueOrDefault(vm.Id);
        JobInput usual = input with { Running = RanAtSource(vm, row), ShutdownLimit = _random.Between(TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(2)) };
        return command switch
        {
            VmCommand.Test or VmCommand.Export when branch is not null && _random.Chance(0.5) => Tested(usual, vm) with { Point = branch.Point, Branch = branch.Id },
            VmCommand.Test or VmCommand.Export or VmCommand.ChangePoint => point is null ? null : Tested(usual, vm) with { Point = point },
            VmCommand.Promote => row?.Tests is { Count: > 0 } tests && _random.Pick([.. tests]) is var test ? usual with { Test = test.Key, Point = test.Value.Input.Point } : null,
            VmCommand.PlannedFailover or VmCommand.Cancel => usual with { Transfer = new TransferId(_world.Ids.NewGuid()), Running = command == VmCommand.Cancel ? row?.RanAtSource ?? false : usual.Running },
            VmCommand.UnplannedFailover => usual with { Point = _random.Chance(0.5) ? null : point, ShutDownSource = _random.Chance(0.4) },
            VmCommand.DeleteBranch => ChooseBranch(vm, usual, branch),
            VmCommand.Set => usual with { Excluded = _random.Chance(0.5) ? null : ChooseExcluded(vm), Retention = _random.Between(TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(20)) },
            VmCommand.Mount or VmCommand.Attach when branch is not null && _random.Chance(0.5) => Given(usual) with { Point = branch.Point, Branch = branch.Id },
            VmCommand.Mount or VmCommand.Attach => point is null ? null : Given(usual) with { Point = point },
            VmCommand.Unmount => ChooseMount(vm, usual, attached: false),
            VmCommand.Detach => ChooseMount(vm, usual, attached: true),
            _ => usual,
        };
    }

    /// <summary>A listed point, and sometimes one that was listed once.</summary>
    private RecoveryPointId? ChoosePoint(VmWatch vm, ReplicaId replica)
    {
        if (!vm.Ledgers.TryGetValue(replica, out var ledger))
        {
            return null;
        }

        IReadOnlyList<RecoveryPoint> from = _random.Chance(0.05) ? ledger.Known : ledger.Listed;
        return from.Count > 0 ? _random.Pick(from).Id : null;
    }

    private JobInput Tested(JobInput input, VmWatch vm) => input with { Test = new TestId(_world.Ids.NewGuid()), Name = $"{vm.Name}-test-{_random.Next(1000)}" };

    /// <summary>To a VM that has nothing to do with it.</summary>
    private JobInput Given(JobInput input) => input with { Mount = new MountId(_world.Ids.NewGuid()), Name = "office", Writable = _random.Chance(0.5) };

    /// <summary>Any but the first, which keeps something to protect.</summary>
    private IReadOnlyList<string> ChooseExcluded(VmWatch vm) => _random.Chance(0.5) ? [] : [.. vm.Vm.Targets.Skip(1).Where(_ => _random.Chance(0.5))];

    private JobInput? ChooseMount(VmWatch vm, JobInput input, bool attached)
    {
        MountInfo[] given = [.. _world.Database.Targets.GetValueOrDefault(vm.Id)?.Mounts?.Where(mount => mount.ToVm is not null == attached) ?? []];
        return given.Length == 0 ? null : input with { Mount = _random.Pick(given).Id };
    }

    private JobInput? ChooseBranch(VmWatch vm, JobInput input, BranchInfo? atTarget)
    {
        bool isRetired = _world.Database.Retired.ContainsKey(input.Replica);
        BranchInfo? atSource = _world.Database.Sources.GetValueOrDefault(vm.Id)?.Branches is [var old, ..] ? old : null;
        if (atSource is not null && (isRetired || atTarget is null || _random.Chance(0.2)))
        {
            // What is deleted here is a VM with its disks: while it could come home again nobody does that.
            bool staysThere = isRetired || (_world.Database.Situation(vm).State == ProtectionState.FailedOver && _random.Chance(0.9));
            return staysThere ? input with { Branch = atSource.Id, AtSource = true } : null;
        }

        return atTarget is not null && (_world.IsCalm || _random.Chance(0.4)) ? input with { Branch = atTarget.Id } : null;
    }

    private bool RanAtSource(VmWatch vm, ProtectionRow? row) => _world.Database.Sources.GetValueOrDefault(vm.Id) switch
    {
        { Fenced: true } => row?.RanAtSource ?? false,
        { Power: VmPower.Off or VmPower.Crashed } => false,
        _ => true,
    };
}
