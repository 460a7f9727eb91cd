using Understudy.Simulation.Faults;
using Understudy.Simulation.Machines;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Storage;

namespace Understudy.Simulation.Sites;

/// <summary>Does one thing after another to the two sites, drawn by this seed's weights, at times drawn by the seed.</summary>
internal sealed class SiteFaults(SitesWorld world)
{
    private readonly SitesWorld _world = world;
    private readonly RunContext _context = world.Context;
    private readonly SimRandom _random = world.Context.Random.Fork(20);
    private readonly SwarmWeights<SiteStrike> _weights = new(world.Context.Random.Fork(21), absent: 0.6);

    /// <summary>Disks that have ever misbehaved; what a process dies of there is excused.</summary>
    public HashSet<SimDisk> FaultyDisks { get; } = [];

    public Task RunAsync() => Task.WhenAll(StrikeAgainAndAgainAsync(), FillTheTargetAsync(), CutHandOversAsync());

    /// <summary>In some runs the target has no space to spare, and is full for minutes again and again.</summary>
    private async Task FillTheTargetAsync()
    {
        if (!_random.Chance(0.08))
        {
            return;
        }

        FaultyDisks.Add(_world.Target.Host.Disk);
        while (!_context.HasDoneEnough)
        {
            await _context.Simulator.DelayAsync(_random.Between(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(90)));
            _world.Target.Host.Disk.Faults.Full = true;
            await HoldAsync(_world.Target, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(120));
            _world.Target.Host.Disk.Faults.Full = false;
        }
    }

    /// <summary>In some runs the source is cut off while its VM is being started at the target: the moment is too short to be met by chance.</summary>
    private async Task CutHandOversAsync()
    {
        while (_world.CutsHandOvers && !_context.HasDoneEnough)
        {
            await _context.Simulator.DelayAsync(_random.Between(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(200)));
            if (_world.Vms.Exists(_world.IsUntold))
            {
                _context.Counters.Add("strike: a source that is not told");
                TimeSpan time = Isolate();
                await _context.Simulator.DelayAsync(time);
            }
        }
    }

    private async Task StrikeAgainAndAgainAsync()
    {
        TimeSpan pace = _random.Between(TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(60));
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
        foreach (Site site in _world.Sites)
        {
            site.Host.Disk.Faults.Clear();
            site.Host.Disk.OnOperation = null;
            site.Machine.Calls.CallFault = 0;
            site.Disturbed();
        }
    }

    private async Task StrikeAsync(SiteStrike strike)
    {
        Site either = _random.Chance(0.5) ? _world.Source : _world.Target;
        switch (strike)
        {
            case SiteStrike.KillSourceAgent:
                AtSomeMoment(_world.Source, _world.Source.KillAgent);
                break;
            case SiteStrike.KillTargetAgent:
                AtSomeMoment(_world.Target, _world.Target.KillAgent);
                break;
            case SiteStrike.KillVault:
                _world.VaultHost.Kill();
                break;
            case SiteStrike.KillDaemon:
                KillDaemon();
                break;
            case SiteStrike.KillSourceGuest:
                KillGuest(_world.Source);
                break;
            case SiteStrike.KillTargetGuest:
                KillGuest(_world.Target);
                break;
            case SiteStrike.PowerLossSource:
                AtSomeMoment(_world.Source, _world.Source.LosePower);
                break;
            case SiteStrike.PowerLossTarget:
                AtSomeMoment(_world.Target, _world.Target.LosePower);
                break;
            case SiteStrike.CutLink:
                _world.Network.CutAll();
                break;
            case SiteStrike.StallLink:
                Stall(_world.Source.Host, _world.Target.Host, TimeSpan.FromSeconds(_random.Chance(0.3) ? 180 : 20));
                break;
            case SiteStrike.StallVault:
                Stall(_world.VaultHost, either.Host, TimeSpan.FromSeconds(60));
                break;
            case SiteStrike.IsolateSource:
                Isolate();
                break;
            case SiteStrike.ReadErrors or SiteStrike.WriteErrors or SiteStrike.FlushFailures or SiteStrike.DiskFull or SiteStrike.SlowDisk:
                await SpoilDiskAsync(strike, either);
                break;
            case SiteStrike.ClockJump:
                either.Host.JumpClock(_random.Between(TimeSpan.FromHours(-2), TimeSpan.FromHours(2)) * (_random.Chance(0.5) ? 1 : 0.001));
                break;
            case SiteStrike.ClockDrift:
                either.Host.DriftClock((_random.NextFraction() - 0.5) * 0.02);
                break;
            case SiteStrike.HypervisorFaults:
                either.Machine.Calls.CallFault = _random.NextFraction() * 0.5;
                await HoldAsync(either, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(40));
                either.Machine.Calls.CallFault = 0;
                break;
            case SiteStrike.DefinitionChange:
                _random.Pick(_world.Vms).Vm.ChangeDefinition();
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(strike), strike, null);
        }
    }

    private void AtSomeMoment(Site site, Action strike)
    {
        if (_random.Chance(0.4))
        {
            strike();
            return;
        }

        long at = site.Host.Disk.Counters.Operations + _random.Between(1, 80);
        site.Host.Disk.OnOperation = number =>
        {
            if (number == at)
            {
                strike();
            }
        };
    }

    private void KillDaemon()
    {
        if (_world.Target.Machine.Daemons.Count > 0)
        {
            _random.Pick([.. _world.Target.Machine.Daemons.Values]).Process.Kill();
            _world.Target.Disturbed();
        }
    }

    private void KillGuest(Site site)
    {
        ModelDomain[] running = [.. site.Machine.Domains.Where(d => d.Qemu is not null)];
        if (running.Length > 0)
        {
            _random.Pick(running).Qemu?.Process?.Kill();
        }
    }

    private void Stall(SimHost one, SimHost other, TimeSpan longest)
    {
        TimeSpan time = _random.Between(TimeSpan.FromSeconds(1), longest);
        bool forth = _random.Chance(0.7);
        if (forth)
        {
            _world.Network.Stall(one, other, time);
        }

        if (!forth || _random.Chance(0.7))
        {
            _world.Network.Stall(other, one, time);
        }
    }

    private TimeSpan Isolate()
    {
        TimeSpan time = _random.Between(TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(8));
        foreach (SimHost other in (SimHost[])[_world.Target.Host, _world.VaultHost])
        {
            _world.Network.Stall(_world.Source.Host, other, time);
            _world.Network.Stall(other, _world.Source.Host, time);
        }

        return time;
    }

    private async Task SpoilDiskAsync(SiteStrike strike, Site site)
    {
        SimDisk disk = site.Host.Disk;
        FaultyDisks.Add(disk);
        double chance = _random.NextFraction() * (_random.Chance(0.5) ? 0.02 : 0.2);
        switch (strike)
        {
            case SiteStrike.ReadErrors:
                disk.Faults.ReadError = chance;
                break;
            case SiteStrike.WriteErrors:
                disk.Faults.WriteError = chance;
                break;
            case SiteStrike.FlushFailures:
                disk.Faults.FlushFailure = chance;
                break;
            case SiteStrike.DiskFull:
                disk.Faults.Full = true;
                break;
            default:
                (disk.Faults.Stall, disk.Faults.StallTime) = (chance, _random.Between(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(40)));
                break;
        }

        await HoldAsync(site, TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(40));
        disk.Faults.Clear();
    }

    private async Task HoldAsync(Site site, TimeSpan least, TimeSpan most)
    {
        site.Disturbed();
        await _context.Simulator.DelayAsync(_random.Between(least, most));
        site.Disturbed();
    }
}
