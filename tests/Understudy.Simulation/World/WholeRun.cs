using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Protection.Source;
using Understudy.Simulation.Agents;
using Understudy.Simulation.Checkers;
using Understudy.Simulation.Faults;
using Understudy.Simulation.Models;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;

namespace Understudy.Simulation.World;

/// <summary>
/// A run of the whole data plane: a source host with guests and the source agent, a link, a target host with the target
/// agent. Things go wrong for a while, some VMs are failed over; then nothing goes wrong any more and the system must
/// become healthy by itself within a bounded time, the newest point at the target being what the source holds.
/// </summary>
internal sealed class WholeRun
{
    /// <summary>Longest pause of a retry (30 minutes and a tenth), a resynchronisation after it, and room for both once more.</summary>
    private static readonly TimeSpan HealthyWithin = TimeSpan.FromMinutes(90);

    private readonly RunContext _context;
    private readonly SimRandom _random;
    private readonly SimHost _source;
    private readonly SimHost _target;
    private readonly SimNetwork _network;
    private readonly ModelHypervisor _hypervisor;
    private readonly Dictionary<ModelVm, ModelGuest> _guests = [];
    private readonly Dictionary<ModelVm, SimProcess> _qemus = [];
    private readonly List<ReplicaWatch> _watches = [];
    private readonly SourcePolicy _policy;
    private readonly ReplicaSettings _settings;
    private readonly FaultPlan _faults;
    private bool _isOver;

    public WholeRun(RunContext context)
    {
        _context = context;
        _random = context.Random.Fork(1);
        _source = context.AddHost("source");
        _target = context.AddHost("target");
        _network = new SimNetwork(context.Simulator);
        _hypervisor = new ModelHypervisor(_source, context.Random.Fork(2));
        _policy = RandomShapes.Policy(_random);
        _settings = RandomShapes.Settings(_random, context.Plant);
        var ids = new SeededIds(context.Random.Fork(3));
        int vms = _random.Chance(0.75) ? 1 : _random.Between(2, 3);
        for (int i = 0; i < vms; i++)
        {
            var vm = new ModelVm(new VmId(ids.NewGuid()), $"vm{i}", RandomShapes.Disks(_random), _source);
            _hypervisor.Vms.Add(vm);
            _guests[vm] = new ModelGuest(new OwnDisks(vm), context.Random.Fork(4));
            _watches.Add(new ReplicaWatch(vm, new ReplicaId(ids.NewGuid()), new LineId(1, ids.NewRandom128()), context.Violations)
            {
                Seed = _random.Chance(0.3) ? new ModelSeed(vm, context.Random.Fork(6)) : null,
            });
        }

        _faults = new FaultPlan(context, new FaultTargets(_source, _target, _network, _hypervisor, _hypervisor.Vms, vm => _qemus[vm].Kill()));
    }

    public async Task RunAsync()
    {
        Task keepers = Task.WhenAll(
            [SuperviseSourceAsync(), SuperviseTargetAsync(), .. _hypervisor.Vms.Select(SuperviseGuestAsync)]);
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

        Count();
    }

    private async Task TellAsync()
    {
        Task failovers = FailOverSomeAsync();
        await _faults.RunAsync();
        await failovers;
        _faults.Stop();
        await BecomeHealthyAsync();
        await AgreeAsync();
        if (_context.Violations.First is null)
        {
            await EndAsync();
        }
    }

    private async Task FailOverSomeAsync()
    {
        foreach (ReplicaWatch watch in _watches)
        {
            if (_random.Chance(0.3))
            {
                await _context.Simulator.DelayAsync(_random.Between(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(70)));
                watch.FailoverWanted = true;
            }
        }
    }

    /// <summary>Every VM: a point cut after the faults have stopped, or its failover done.</summary>
    private async Task BecomeHealthyAsync()
    {
        long began = _context.Simulator.NowTicks;
        await WaitUntilAsync("healthy", watch => IsFailedOver(watch) || PointAfter(watch, began) is not null);
        _context.Counters.Add("seconds until healthy, in sum", (_context.Simulator.NowTicks - began) / TimeSpan.TicksPerSecond);
    }

    /// <summary>The guests stop writing, and the next point is exactly what they have left.</summary>
    private async Task AgreeAsync()
    {
        foreach (ModelGuest guest in _guests.Values)
        {
            guest.IsQuiet = true;
        }

        await _context.Simulator.DelayAsync(TimeSpan.FromSeconds(2));
        long quiet = _context.Simulator.NowTicks;
        await WaitUntilAsync("in agreement", watch => IsFailedOver(watch) || PointAfter(watch, quiet) is not null);
        foreach (ReplicaWatch watch in _watches.Where(w => !IsFailedOver(w)))
        {
            Cut now = watch.Vm.Now();
            Cut? there = PointAfter(watch, quiet);
            for (int disk = 0; there is not null && disk < now.Disks.Count; disk++)
            {
                for (int block = 0; block < now.Disks[disk].BlockCount; block++)
                {
                    if (!now.Disks[disk].Block(block).SequenceEqual(there.Disks[disk].Block(block)))
                    {
                        watch.Violate("liveness", $"the newest point differs from the source at block {block} of disk {disk}");
                    }
                }
            }
        }
    }

    /// <summary>Both agents end; everything at the target is read once more, and what was failed over is what a VM would run on.</summary>
    private async Task EndAsync()
    {
        _isOver = true;
        _source.Kill();
        _target.Kill();
        await _context.Simulator.DelayAsync(TimeSpan.FromSeconds(1));
        _target.Boot();
        SimProcess reader = _target.Start("last look", async self =>
        {
            foreach (ReplicaWatch watch in _watches)
            {
                ReplicaKeeper keeper = await ReplicaKeeper.OpenAsync(watch, self, _settings, _random.Fork(5), _context.Logger);
                await keeper.Replica.DisposeAsync();
                _context.Counters.Add("points checked byte for byte", keeper.Checker.TakePointsChecked());
                if (watch.FailedOverTo is { } point)
                {
                    new BaseChecker(_target, watch).Check(point);
                    CheckGuest(watch, point);
                }
            }
        });
        await reader.Ended;
        Judge(reader, _target);
        if (_context.Violations.First is null)
        {
            await new DamageRun(_context, _target, _random.Pick(_watches), _settings).RunAsync();
        }
    }

    private static bool IsFailedOver(ReplicaWatch watch) => watch.FailedOverTo is not null;

    private static void CheckGuest(ReplicaWatch watch, RecoveryPoint point)
    {
        if (watch.Vm.FindCut(point.CutAt) is { } cut && ModelGuest.Verify(cut.Disks) is { } wrong)
        {
            watch.Violate("guest", $"the VM at {point.Id} is no prefix of what its guest wrote: {wrong}");
        }
    }

    /// <summary>What the newest listed point holds, when it was cut later than that.</summary>
    private static Cut? PointAfter(ReplicaWatch watch, long ticks) =>
        watch.Newest is { } newest && watch.Vm.FindCut(newest.CutAt) is { } cut && cut.MadeAtTicks >= ticks ? cut : null;

    private async Task WaitUntilAsync(string state, Func<ReplicaWatch, bool> holds)
    {
        long limit = _context.Simulator.NowTicks + HealthyWithin.Ticks;
        while (!_watches.All(holds))
        {
            if (_context.Simulator.NowTicks > limit)
            {
                ReplicaWatch late = _watches.First(w => !holds(w));
                late.Violate("liveness", $"not {state} within {HealthyWithin} without faults: {late.Source?.Status}");
                return;
            }

            await _context.Simulator.DelayAsync(TimeSpan.FromSeconds(1));
        }
    }

    private Task SuperviseSourceAsync() => SuperviseAsync(_source, "source-agent", self =>
        new SourceAgent(_context, self, _hypervisor, _policy, _random.Fork(6)).RunAsync(_network, _target, _watches));

    private Task SuperviseTargetAsync() => SuperviseAsync(_target, "target-agent", self =>
        new TargetAgent(_context, self, _watches, _settings, _random.Fork(7)).RunAsync(_network));

    private Task SuperviseGuestAsync(ModelVm vm) => SuperviseAsync(_source, $"qemu-{vm.Name}", self =>
    {
        _qemus[vm] = self;
        vm.IsRunning = true;
        self.AtEnd(_ => vm.Crash());
        return _guests[vm].RunAsync(self);
    });

    /// <summary>Starts a process again whenever it has ended, as the service manager of a host does.</summary>
    private async Task SuperviseAsync(SimHost host, string name, Func<SimProcess, Task> main)
    {
        while (!_isOver)
        {
            if (!host.IsUp)
            {
                await _context.Simulator.DelayAsync(_random.Between(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(40)));
                if (_isOver)
                {
                    return; // The run has turned to its last look meanwhile: one agent at a time.
                }

                host.Boot();
            }

            SimProcess process = host.Start(name, main);
            await process.Ended;
            Judge(process, host);
            await _context.Simulator.DelayAsync(_random.Between(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5)));
        }
    }

    /// <summary>A process may die of what its disk did to it, and of nothing else.</summary>
    private void Judge(SimProcess process, SimHost host)
    {
        if (process.Failure is not { } failure)
        {
            return;
        }

        bool excused = failure is StorageException { Kind: FaultKind.Io or FaultKind.FlushFailed or FaultKind.Full or FaultKind.Closed }
            && _faults.FaultyDisks.Contains(host.Disk);
        if (!excused)
        {
            _context.Violations.Report("crash", $"{process.Name}: {failure}");
        }
    }

    private void Count()
    {
        _context.Counters.Add("link: connections", _network.Connections);
        _context.Counters.Add("link: connections cut", _network.ConnectionsCut);
        _context.Counters.Add("link: bytes", _network.CarriedBytes);
        _context.Counters.Add("hypervisor: cuts", _hypervisor.Cuts);
        _context.Counters.Add("hypervisor: faults", _hypervisor.Calls.FaultsInjected);
        _context.Counters.Add("guest: writes", _guests.Values.Sum(g => g.Writes));
        foreach (SimHost host in (SimHost[])[_source, _target])
        {
            _context.Counters.Add("disk: torn writes", host.Disk.Counters.TornWrites);
            _context.Counters.Add("disk: failed flushes", host.Disk.Counters.FlushFailures);
            _context.Counters.Add("disk: refused as full", host.Disk.Counters.FullErrors);
            _context.Counters.Add("disk: read errors", host.Disk.Counters.ReadErrors);
            _context.Counters.Add("disk: write errors", host.Disk.Counters.WriteErrors);
            _context.Counters.Add("disk: stalls", host.Disk.Counters.Stalls);
            _context.Counters.Add("disk: power losses with writes lost", host.Disk.Counters.PowerLosses);
        }
    }
}
