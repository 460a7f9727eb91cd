using Understudy.Simulation.Models;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;
using Understudy.Testing.Simulation.Storage;

namespace Understudy.Simulation.Faults;

/// <summary>What a fault can be done to.</summary>
internal sealed record FaultTargets(
    SimHost Source, SimHost Target, SimNetwork Network, ModelHypervisor Hypervisor, IReadOnlyList<ModelVm> Vms, Action<ModelVm> KillGuest);

/// <summary>
/// Does one thing after another to the system, drawn by this seed's weights, at times drawn by the seed: half of the kills
/// and power losses come at a moment of time, the other half at the n-th operation of a disk, which is where it hurts.
/// </summary>
internal sealed class FaultPlan(RunContext context, FaultTargets targets)
{
    private readonly RunContext _context = context;
    private readonly FaultTargets _targets = targets;
    private readonly SimRandom _random = context.Random.Fork(20);
    private readonly SwarmWeights<Strike> _weights = new(context.Random.Fork(21));

    /// <summary>Disks that have ever misbehaved; what a process dies of there is excused.</summary>
    public HashSet<SimDisk> FaultyDisks { get; } = [];

    public async Task RunAsync()
    {
        TimeSpan pace = _random.Between(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(30));
        while (!_context.HasDoneEnough)
        {
            await _context.Simulator.DelayAsync(pace * (0.2 + _random.NextFraction()));
            if (_weights.Next(_random) is { } strike)
            {
                _context.Counters.Add($"strike: {strike}");
                _context.Trace.Event(_context.Simulator.NowTicks, "faults", strike.ToString());
                await StrikeAsync(strike);
            }
        }
    }

    /// <summary>From now on nothing goes wrong any more.</summary>
    public void Stop()
    {
        foreach (SimHost host in (SimHost[])[_targets.Source, _targets.Target])
        {
            host.Disk.Faults.Clear();
            host.Disk.OnOperation = null;
        }

        _targets.Hypervisor.Calls.CallFault = 0;
    }

    private async Task StrikeAsync(Strike strike)
    {
        SimHost either = _random.Chance(0.4) ? _targets.Source : _targets.Target;
        switch (strike)
        {
            case Strike.KillSource:
                AtSomeMoment(_targets.Source, _targets.Source.Kill);
                break;
            case Strike.KillTarget:
                AtSomeMoment(_targets.Target, _targets.Target.Kill);
                break;
            case Strike.KillGuest:
                _targets.KillGuest(_random.Pick(_targets.Vms));
                break;
            case Strike.PowerLossSource:
                AtSomeMoment(_targets.Source, _targets.Source.PowerLoss);
                break;
            case Strike.PowerLossTarget:
                AtSomeMoment(_targets.Target, _targets.Target.PowerLoss);
                break;
            case Strike.CutLink:
                _targets.Network.CutAll();
                break;
            case Strike.StallLink:
                StallLink();
                break;
            case Strike.ReadErrors or Strike.WriteErrors or Strike.FlushFailures or Strike.DiskFull or Strike.SlowDisk:
                await SpoilDiskAsync(strike, either.Disk);
                break;
            case Strike.ClockJump:
                either.JumpClock(_random.Between(TimeSpan.FromHours(-2), TimeSpan.FromHours(2)) * (_random.Chance(0.5) ? 1 : 0.001));
                break;
            case Strike.CaptureFaults:
                _targets.Hypervisor.Calls.CallFault = _random.NextFraction() * 0.5;
                await _context.Simulator.DelayAsync(_random.Between(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(40)));
                _targets.Hypervisor.Calls.CallFault = 0;
                break;
            case Strike.DefinitionChange:
                _random.Pick(_targets.Vms).ChangeDefinition();
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(strike), strike, null);
        }
    }

    private void AtSomeMoment(SimHost host, Action strike)
    {
        if (_random.Chance(0.5))
        {
            strike();
            return;
        }

        long at = host.Disk.Counters.Operations + _random.Between(1, 120);
        host.Disk.OnOperation = number =>
        {
            if (number == at)
            {
                strike();
            }
        };
    }

    private void StallLink()
    {
        TimeSpan time = _random.Between(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(_random.Chance(0.3) ? 180 : 20));
        if (_random.Chance(0.7))
        {
            _targets.Network.Stall(_targets.Source, _targets.Target, time);
        }

        if (_random.Chance(0.7))
        {
            _targets.Network.Stall(_targets.Target, _targets.Source, time);
        }
    }

    private async Task SpoilDiskAsync(Strike strike, SimDisk disk)
    {
        FaultyDisks.Add(disk);
        double chance = _random.NextFraction() * (_random.Chance(0.5) ? 0.02 : 0.2);
        switch (strike)
        {
            case Strike.ReadErrors:
                disk.Faults.ReadError = chance;
                break;
            case Strike.WriteErrors:
                disk.Faults.WriteError = chance;
                break;
            case Strike.FlushFailures:
                disk.Faults.FlushFailure = chance;
                break;
            case Strike.DiskFull:
                disk.Faults.Full = true;
                break;
            case Strike.SlowDisk:
                (disk.Faults.Stall, disk.Faults.StallTime) = (chance, _random.Between(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(40)));
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(strike), strike, null);
        }

        await _context.Simulator.DelayAsync(_random.Between(TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(40)));
        disk.Faults.Clear();
    }
}
