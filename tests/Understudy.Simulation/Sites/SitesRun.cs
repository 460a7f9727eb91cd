using Understudy.Blocks;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Protection.Ports;
using Understudy.Simulation.Machines;
using Understudy.Simulation.Models;
using Understudy.Simulation.Running;
using Understudy.Simulation.Sites.Agents;
using Understudy.Simulation.Sites.Checkers;
using Understudy.Simulation.Sites.Vault;
using Understudy.Testing.Simulation;
using OwnershipState = Understudy.Protection.Ownership.OwnershipState;

namespace Understudy.Simulation.Sites;

/// <summary>
/// A run of two whole sides: both hosts with guests, agents and everything an agent uses, a vault at a third place, and a
/// user. Things go wrong for a while and commands come at every moment; then nothing goes wrong any more, and whoever is
/// left must be able to bring every VM to a state in which it runs once and can be commanded.
/// </summary>
internal sealed class SitesRun
{
    /// <summary>Longest pause of a retry (30 minutes and a tenth), a resynchronisation after it, and room for both once more.</summary>
    private static readonly TimeSpan SettledWithin = TimeSpan.FromMinutes(120);

    private readonly RunContext _context;
    private readonly SitesWorld _world;
    private readonly SimRandom _random;
    private readonly SiteFaults _faults;
    private readonly ModelUser _user;
    private bool _isOver;

    public SitesRun(RunContext context)
    {
        _context = context;
        _world = new SitesWorld(context);
        _random = context.Random.Fork(1);
        _faults = new SiteFaults(_world);
        _user = new ModelUser(_world);
    }

    public async Task RunAsync()
    {
        Task keepers = Task.WhenAll(
            SuperviseAsync(_world.Source), SuperviseAsync(_world.Target), SuperviseVaultAsync(), StartGuestsAsync(_world.Source), StartGuestsAsync(_world.Target), _world.Owners.RunAsync());
        Task story = TellAsync();
        await Task.WhenAny(story, keepers, _context.Violations.Found.Task);
        _isOver = true;
        if (story.IsFaulted)
        {
            await story;
        }

        if (keepers.IsFaulted)
        {
            await keepers;
        }
    }

    private async Task TellAsync()
    {
        await (_user.IsHasty ? _user.ProtectAsync() : ProtectAllAsync());
        Task user = _user.RunAsync();
        await _faults.RunAsync();
        await user;
        _faults.Stop();
        _world.IsCalm = true;
        await SettleAsync();
        await AgreeAsync();
        if (_random.Chance(0.5))
        {
            await RetireAsync();
        }
    }

    private async Task ProtectAllAsync()
    {
        await WaitUntilAsync("protected at all", async vm =>
        {
            if (StateOf(vm) == ProtectionState.Unprotected)
            {
                await TryAsync(() => _user.OrderAsync(vm, VmCommand.Protect));
            }

            return _world.Database.Situation(vm).HasPoints;
        });
    }

    /// <summary>Every VM: no job under way, and it runs, once, where it belongs.</summary>
    private async Task SettleAsync()
    {
        long began = _context.Simulator.NowTicks;
        await WaitUntilAsync("settled", async vm =>
        {
            if (IsSettled(vm, began))
            {
                return true;
            }

            _user.ResumeClaimed(vm);
            _user.ResumeAfterError(vm);
            await TryAsync(() => _user.SettleAsync(vm));
            return false;
        });
        _context.Counters.Add("seconds until settled, in sum", (_context.Simulator.NowTicks - began) / TimeSpan.TicksPerSecond);
    }

    /// <summary>The guests stop writing, and the next point of a VM that replicates is exactly what it has left.</summary>
    private async Task AgreeAsync()
    {
        foreach (ModelDomain domain in _world.Source.Machine.Domains)
        {
            domain.Guest.IsQuiet = true;
        }

        await _context.Simulator.DelayAsync(TimeSpan.FromSeconds(2));
        long quiet = _context.Simulator.NowTicks;
        await WaitUntilAsync("in agreement", vm => Task.FromResult(!Replicates(vm) || (PointAfter(vm, quiet) is not null && HasAllDisks(vm))));
        foreach (VmWatch vm in _world.Vms.Where(Replicates))
        {
            Cut now = vm.Vm.Now();
            if (PointAfter(vm, quiet) is { } there && now.FirstDifference(there) is { } where)
            {
                vm.Violate("liveness", $"the newest point differs from the source at {where}");
            }
        }
    }

    /// <summary>Everything is unprotected, and nothing of ours is left anywhere.</summary>
    private async Task RetireAsync()
    {
        await WaitUntilAsync("unprotected", async vm =>
        {
            await TryAsync(() => _user.SettleAsync(vm));
            if (!IsIdle(vm))
            {
                return false;
            }

            if (_world.Database.Situation(vm) is { State: ProtectionState.Unprotected, SourceBranches: 0 } && _world.Database.Cleanups.Count == 0)
            {
                return true;
            }

            await TryAsync(() => _user.RetireAsync(vm));
            return false;
        });
        if (_context.Violations.First is null)
        {
            new LeftoverChecker(_world).Check();
        }
    }

    private ProtectionState StateOf(VmWatch vm) => _world.Database.Situation(vm).State;

    private bool IsIdle(VmWatch vm) => _world.Database.JobsOf(vm.Id).All(j => j.HasEnded);

    private bool IsSettled(VmWatch vm, long since) => IsIdle(vm) && StateOf(vm) switch
    {
        ProtectionState.Unprotected => true,
        ProtectionState.Protected => PointAfter(vm, since) is not null && RunsOnlyAt(_world.Source, vm),
        ProtectionState.CommitPending or ProtectionState.FailedOver => RunsOnlyAt(_world.Target, vm),
        _ => false,
    };

    /// <summary>By its record and in fact, and the other side says so too.</summary>
    private bool RunsOnlyAt(Site site, VmWatch vm) => site.Machine.Find(vm.Id) is { IsActive: true } && site.TokenOf(vm.Id).Now is { } owner
        && owner.MayRun(site.Machine.Boot)
        && _world.PeerOf(site).TokenOf(vm.Id).Now is { State: OwnershipState.Elsewhere } other && other.Line == owner.Line
        && _world.PeerOf(site).Machine.Find(vm.Id) is null or { IsActive: false } or { Qemu.IsLinked: false };

    /// <summary>Those that the VM has and nobody wanted to be left out, and no others, take part.</summary>
    private bool HasAllDisks(VmWatch vm)
    {
        IReadOnlyList<string> excluded = _world.Source.Orders.GetValueOrDefault(vm.Id)?.ExcludedDisks ?? [];
        IEnumerable<string> wanted = vm.Vm.Targets.Where((target, disk) => vm.Vm.IsPlugged(disk) && !excluded.Contains(target));
        return wanted.ToHashSet().SetEquals(vm.Ledger(_world.Database.Protections[vm.Id].Replica).Members);
    }

    private bool Replicates(VmWatch vm) => StateOf(vm) == ProtectionState.Protected;

    /// <summary>What the newest listed point holds, when it was cut later than that.</summary>
    private Cut? PointAfter(VmWatch vm, long ticks) =>
        _world.Database.Protections.TryGetValue(vm.Id, out ProtectionRow? row) && vm.Ledger(row.Replica) is { Newest: { } newest } ledger
        && ledger.CutOf(newest.Id) is { } cut && cut.MadeAtTicks >= ticks
            ? cut
            : null;

    private async Task WaitUntilAsync(string state, Func<VmWatch, Task<bool>> holds)
    {
        long limit = _context.Simulator.NowTicks + SettledWithin.Ticks;
        foreach (VmWatch vm in _world.Vms)
        {
            while (!await holds(vm))
            {
                if (_context.Simulator.NowTicks > limit)
                {
                    vm.Violate("liveness", $"not {state} within {SettledWithin} without faults: {Describe(vm)}");
                    return;
                }

                await _context.Simulator.DelayAsync(TimeSpan.FromSeconds(5));
            }
        }
    }

    private string Describe(VmWatch vm)
    {
        JobRow? last = _world.Database.JobsOf(vm.Id).LastOrDefault();
        return $"{StateOf(vm)}, last job {last?.Action} {last?.State} {last?.Error}; "
            + $"source {_world.Source.Machine.Find(vm.Id)?.State} {_world.Source.Agent?.Source.Sources.FirstOrDefault(s => s.Spec.Vm == vm.Id)?.Engine.Status}; "
            + $"target {_world.Target.Machine.Find(vm.Id)?.State} {_world.Target.Agent?.Target.Hosts.FirstOrDefault(h => h.Spec.Vm == vm.Id)?.Status}";
    }

    /// <summary>The vault may die while it is asked.</summary>
    private static async Task TryAsync(Func<Task> ask)
    {
        try
        {
            await ask();
        }
        catch (IOException)
        {
            // Asked again later.
        }
    }

    /// <summary>Starts a site's agent again whenever it has ended, as a service manager does, and its host when the power was lost.</summary>
    private async Task SuperviseAsync(Site site)
    {
        while (!_isOver)
        {
            if (!site.Host.IsUp)
            {
                await _context.Simulator.DelayAsync(_random.Between(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(90)));
                site.Host.Boot();
                site.Disturbed();
            }

            SimProcess process = site.Host.Start("agent", self => SiteAgent.RunAsync(_world, site, self));
            site.AgentProcess = process;
            await process.Ended;
            site.Disturbed();
            Judge(process, site);
            await _context.Simulator.DelayAsync(_random.Between(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5)));
        }
    }

    private async Task SuperviseVaultAsync()
    {
        while (!_isOver)
        {
            SimProcess process = _world.VaultHost.Start("vault", self => ModelVault.RunAsync(_world, self));
            await process.Ended;
            Judge(process, null);
            await _context.Simulator.DelayAsync(_random.Between(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(20)));
        }
    }

    /// <summary>Somebody who wants the VM to run: starts it when it is off, wherever it is defined.</summary>
    private async Task StartGuestsAsync(Site site)
    {
        while (!_isOver)
        {
            foreach (VmWatch vm in _world.Vms)
            {
                if (site.Host.IsUp && site.Machine.Find(vm.Id) is { Qemu: null } domain && _random.Chance(0.5))
                {
                    await domain.StartAsync();
                }
            }

            if (site.Host.IsUp && site.Machine.Find(_world.Bystander) is { Qemu: null } bystander
                && await bystander.StartAsync() is { Fault: HypervisorFault.Refused } refused)
            {
                _context.Violations.Report("guard", $"a VM that nobody protects could not be started: {refused.Message}");
            }

            await _context.Simulator.DelayAsync(_random.Between(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30)));
        }
    }

    /// <summary>A process may die of what its disk did to it, and of nothing else.</summary>
    private void Judge(SimProcess process, Site? site)
    {
        if (process.Failure is not { } failure)
        {
            return;
        }

        bool excused = site is not null && _faults.FaultyDisks.Contains(site.Host.Disk)
            && failure is StorageException { Kind: FaultKind.Io or FaultKind.FlushFailed or FaultKind.Full or FaultKind.Closed };
        if (!excused)
        {
            _context.Violations.Report("crash", $"{process.Name}: {failure}");
        }
    }
}
