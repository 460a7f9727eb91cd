using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Simulation.Faults;
using Understudy.Simulation.Sites.Vault;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Sites;

/// <summary>Somebody who types every command at any moment, most of them at a bad one.</summary>
internal sealed class ModelUser(SitesWorld world)
{
    /// <summary>Commands with side effects of this version.</summary>
    private static readonly VmCommand[] _built =
        [VmCommand.Protect, VmCommand.Unprotect, VmCommand.Test, VmCommand.UnplannedFailover, VmCommand.Commit, VmCommand.Export];

    private readonly SitesWorld _world = world;
    private readonly SimRandom _random = world.Context.Random.Fork(50);
    private readonly SwarmWeights<VmCommand> _commands = new(world.Context.Random.Fork(51), absent: 0.3);

    public async Task RunAsync()
    {
        TimeSpan pace = _random.Between(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(30));
        while (!_world.Context.HasDoneEnough)
        {
            await _world.Simulator.DelayAsync(pace * (0.2 + _random.NextFraction()));
            VmWatch vm = _random.Pick(_world.Vms);
            try
            {
                await ActAsync(vm);
            }
            catch (IOException)
            {
                // The vault died while it was asked: the user does not know what came of it.
            }
        }
    }

    /// <summary>What a sensible person does until the VM is well: goes on with what was begun, and completes what waits.</summary>
    public async Task SettleAsync(VmWatch vm)
    {
        if (_world.Vault is not { } vault)
        {
            return;
        }

        foreach (JobRow job in _world.Database.JobsOf(vm.Id).ToArray())
        {
            if (job.State == JobState.Waiting)
            {
                await vault.AnswerAsync(job, powerOff: true);
            }
        }

        if (_world.Database.Protections.GetValueOrDefault(vm.Id)?.Tests.Values.FirstOrDefault(j => j.HasEnded) is { } standing)
        {
            await vault.RetryAsync(standing); // Its job has failed, and the test is listed still.
        }
        else if (_world.Database.JobsOf(vm.Id).LastOrDefault(j => j.HasEnded) is { State: JobState.Failed or JobState.Cancelled } last && IsWorthRetrying(vm, last))
        {
            await vault.RetryAsync(last);
        }
    }

    public Task<string?> OrderAsync(VmWatch vm, VmCommand command) => _world.Vault is { } vault
        ? vault.OrderAsync(vm, command, (input, situation) => Fill(vm, command, input, situation))
        : Task.FromResult<string?>("vault-away");

    /// <summary>A failover, test or export that came to nothing has left everything as it was.</summary>
    private bool IsWorthRetrying(VmWatch vm, JobRow job) =>
        job.Action is JobAction.Protect or JobAction.Unprotect or JobAction.Commit || _world.Database.Situation(vm).State == ProtectionState.FailingOver;

    private async Task ActAsync(VmWatch vm)
    {
        switch (_random.Next(10))
        {
            case < 6 when _commands.Next(_random) is { } command:
                await OrderAsync(vm, command);
                break;
            case < 8 when _world.Vault is { } vault && _world.Database.JobsOf(vm.Id).ToArray() is { Length: > 0 } jobs:
                await MeddleAsync(vault, _random.Chance(0.7) ? jobs[^1] : _random.Pick(jobs));
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

    /// <summary>What somebody does past Understudy.</summary>
    private async Task MeddleAtHostAsync(VmWatch vm)
    {
        Site site = _random.Chance(0.5) ? _world.Source : _world.Target;
        if (!site.Host.IsUp || site.Machine.Find(vm.Id) is not { } domain)
        {
            return;
        }

        switch (_random.Next(4))
        {
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
            default:
                break;
        }
    }

    private JobInput? Fill(VmWatch vm, VmCommand command, JobInput input, VmSituation situation)
    {
        if (!_built.Contains(command) || (command == VmCommand.Unprotect && !_world.IsCalm && _random.Chance(0.7)))
        {
            return null;
        }

        IReadOnlyList<RecoveryPoint> listed = vm.Ledgers.TryGetValue(input.Replica, out var ledger) ? ledger.Listed : [];
        RecoveryPointId? point = listed.Count > 0 ? _random.Pick(listed).Id : null;
        bool runs = _world.Source.Machine.Find(vm.Id) is { Qemu: not null };
        return command switch
        {
            VmCommand.Test when point is not null => input with { Point = point, Test = new TestId(_world.Ids.NewGuid()), Name = $"{vm.Name}-test" },
            VmCommand.Export when point is not null => input with { Point = point },
            VmCommand.Test or VmCommand.Export => null,
            VmCommand.UnplannedFailover => input with { Point = _random.Chance(0.5) ? null : point, Running = runs },
            _ => input with { Running = runs },
        };
    }
}
