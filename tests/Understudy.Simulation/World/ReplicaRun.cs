using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Simulation.Agents;
using Understudy.Simulation.Checkers;
using Understudy.Simulation.Models;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.World;

/// <summary>
/// A run about one replica alone: several lives of a process that feeds, applies, pins, reads and fails over, each life
/// ended by a kill, a power loss or a failing disk at some operation. No link and no source agent stand in between, so
/// one seed gets through many more crashes of the journal than a run of the whole system.
/// </summary>
internal sealed class ReplicaRun
{
    private readonly RunContext _context;
    private readonly SimRandom _random;
    private readonly SimHost _target;
    private readonly ModelVm _vm;
    private readonly ModelGuest _guest;
    private readonly Feeder _feeder;
    private readonly ReplicaWatch _watch;
    private readonly ReplicaSettings _settings;
    private readonly LineId _firstLine;
    private readonly double _applyWeight;
    private readonly double _pinWeight;
    private bool _diskIsFaulty;
    private bool _isFeeding;

    public ReplicaRun(RunContext context)
    {
        _context = context;
        _random = context.Random.Fork(1);
        SimHost source = context.AddHost("source");
        _target = context.AddHost("target");
        var ids = new SeededIds(context.Random.Fork(2));
        _firstLine = new LineId(1, ids.NewRandom128());
        _vm = new ModelVm(new VmId(ids.NewGuid()), "vm", RandomShapes.Disks(_random), source);
        _guest = new ModelGuest(new OwnDisks(_vm), context.Random.Fork(3));
        _feeder = new Feeder(_vm, context.Random.Fork(4)) { Line = _firstLine, LosesABlock = context.Plant == Plant.LoseADirtyBlock };
        _watch = new ReplicaWatch(_vm, new ReplicaId(ids.NewGuid()), _firstLine, context.Violations);
        _settings = RandomShapes.Settings(_random, context.Plant);
        _applyWeight = _random.NextFraction();
        _pinWeight = _random.Chance(0.5) ? _random.NextFraction() : 0;
        _vm.IsRunning = true;
        source.Start("qemu", _guest.RunAsync);
    }

    public async Task RunAsync()
    {
        while (!_context.HasDoneEnough && _context.Violations.First is null)
        {
            SetDiskFaults();
            SimProcess process = _target.Start("replica", self => LiveAsync(self));
            StrikeLater(process);
            await process.Ended;
            await EndOfLifeAsync(process);
        }

        await LastLifeAsync();
        if (_context.Violations.First is null)
        {
            await _guest.TouchEveryBlockAsync();
            await new DamageRun(_context, _target, _watch, _settings, _feeder).RunAsync();
        }
    }

    private void SetDiskFaults()
    {
        _diskIsFaulty = _random.Chance(0.4);
        if (_diskIsFaulty)
        {
            switch (_random.Next(4))
            {
                case 0:
                    _target.Disk.Faults.FlushFailure = 0.02;
                    break;
                case 1:
                    _target.Disk.Faults.WriteError = 0.02;
                    break;
                case 2:
                    _target.Disk.Faults.ReadError = 0.01;
                    break;
                default:
                    _target.Disk.Faults.Full = true;
                    break;
            }
        }
    }

    private void StrikeLater(SimProcess process)
    {
        long at = _target.Disk.Counters.Operations + _random.Between(5, 400);
        bool power = _random.Chance(0.5);
        _target.Disk.OnOperation = number =>
        {
            if (number != at)
            {
                return;
            }

            _context.Counters.Add(power ? "strike: power loss of the target" : "strike: kill of the target");
            if (power)
            {
                _target.PowerLoss();
            }
            else
            {
                process.Kill();
            }
        };
    }

    private async Task EndOfLifeAsync(SimProcess process)
    {
        Judge(process.Failure);
        await _context.Simulator.DelayAsync(_random.Between(TimeSpan.Zero, TimeSpan.FromSeconds(5)));
        _target.Disk.Faults.Clear();
        _target.Boot();
        if (_random.Chance(0.1))
        {
            _target.JumpClock(_random.Between(TimeSpan.FromHours(-30), TimeSpan.FromHours(30)));
            _context.Counters.Add("strike: clock jump");
        }
    }

    /// <summary>A process may die of what its disk did to it, and of nothing else.</summary>
    private void Judge(Exception? failure)
    {
        bool excused = failure is null
            || (_diskIsFaulty && failure is StorageException { Kind: FaultKind.Io or FaultKind.FlushFailed or FaultKind.Full or FaultKind.Closed });
        if (!excused)
        {
            _context.Violations.Report("crash", failure!.ToString());
        }
        else if (failure is StorageException died)
        {
            _context.Counters.Add($"process died of: {died.Kind}");
        }
    }

    private async Task LiveAsync(SimProcess self)
    {
        _isFeeding = false;
        ReplicaKeeper keeper = await ReplicaKeeper.OpenAsync(_watch, self, _settings, _random.Fork(5), _context.Logger);
        if (_watch.Failover is not null)
        {
            await ResumeFailoverAsync(keeper);
        }

        while (!_context.HasDoneEnough)
        {
            await self.TakeTimeAsync(_random.Between(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30)));
            Task first = ActAsync(keeper, self);
            Task second = _random.Chance(0.5) ? ActAsync(keeper, self) : Task.CompletedTask;
            await first;
            await second;
        }
    }

    private async Task ActAsync(ReplicaKeeper keeper, SimProcess self)
    {
        Replica replica = keeper.Replica;
        double choice = _random.NextFraction() * (2.4 + _applyWeight + _pinWeight);
        if (choice < 1.5)
        {
            await FeedAsync(keeper, self);
        }
        else if (choice < 1.5 + _applyWeight && replica.Points.Count > 1)
        {
            await keeper.ApplyAsync(_random.Pick(replica.Points));
            _context.Counters.Add("replica: apply");
        }
        else if (choice < 1.5 + _applyWeight + _pinWeight)
        {
            await PinAsync(keeper);
        }
        else if (choice > 2.35 + _applyWeight + _pinWeight)
        {
            await FailOverAsync(keeper);
        }
        else if (choice > 2.2 + _applyWeight + _pinWeight)
        {
            await OfferNonsenseAsync(keeper);
        }
        else
        {
            await ReadSlowlyAsync(keeper, self);
        }
    }

    private async Task FeedAsync(ReplicaKeeper keeper, SimProcess self)
    {
        if (_isFeeding)
        {
            return; // A source sends one cycle after the other.
        }

        _isFeeding = true;
        if (_random.Chance(0.1))
        {
            _vm.ChangeDefinition();
        }

        int cuts = (int)_feeder.Checkpoints;
        await _feeder.FeedAsync(keeper.Replica, self.Time);
        _context.Counters.Add(_feeder.Checkpoints > cuts ? "replica: cycle fed" : "replica: cycle refused");
        _watch.Promise(await keeper.Replica.FlushAsync(default));
        _watch.Look(keeper.Replica);
        if (keeper.Replica.Points is [.., var newest])
        {
            await keeper.Checker.CheckAsync(keeper.Replica, newest);
        }

        _isFeeding = false;
    }

    private async Task PinAsync(ReplicaKeeper keeper)
    {
        if (_watch.Pins.Count > 2 || (_watch.Pins.Count > 0 && _random.Chance(0.3)))
        {
            await keeper.UnpinAsync(_watch.Pins.Keys.Order().First());
        }
        else if (keeper.Replica.Points.Count > 0)
        {
            await keeper.PinAsync(_random.Pick(keeper.Replica.Points));
            _context.Counters.Add("replica: pin");
        }
    }

    /// <summary>A view that stays open while other things happen shows the same point to its end.</summary>
    private async Task ReadSlowlyAsync(ReplicaKeeper keeper, SimProcess self)
    {
        if (keeper.Replica.Points.Count == 0)
        {
            return;
        }

        RecoveryPoint point = _random.Pick(keeper.Replica.Points);
        if (keeper.Checker.FindCut(point) is not { } cut)
        {
            return;
        }

        var disk = new DiskId((ushort)_random.Next(_vm.Disks.Count));
        try
        {
            ReplicaView view = await keeper.Replica.OpenViewAsync(point.Id, disk, default);
            await using (view)
            {
                await self.TakeTimeAsync(_random.Between(TimeSpan.Zero, TimeSpan.FromMilliseconds(300)));
                await keeper.Checker.CompareAsync(view, cut.Disks[disk.Value], point, disk);
                _context.Counters.Add("replica: view read");
            }
        }
        catch (StorageException gone) when (gone.Kind == FaultKind.Missing && !keeper.Replica.Points.Any(p => p.Id == point.Id))
        {
            // No longer listed when it was to be opened.
        }
    }

    private async Task FailOverAsync(ReplicaKeeper keeper)
    {
        if (keeper.Replica.Points.Count > 0 && _watch.Failover is null)
        {
            RecoveryPoint parent = _random.Pick(keeper.Replica.Points);
            _context.Counters.Add("replica: failover");
            await keeper.TakeOverAsync(parent, _feeder.Touched);
            _feeder.Line = _watch.Line;
        }
    }

    private async Task ResumeFailoverAsync(ReplicaKeeper keeper)
    {
        if (keeper.Replica.Points.FirstOrDefault(p => p.Id == _watch.Failover!.Parent) is { } parent)
        {
            _context.Counters.Add("replica: failover resumed");
            await keeper.TakeOverAsync(parent, _feeder.Touched);
        }
        else
        {
            Expect(keeper.Replica.Line != _watch.Failover!.Line, "lines", $"the point {_watch.Failover.Parent} at which the current line begins is gone");
            _watch.Failover = null;
        }

        _feeder.Line = _watch.Line;
    }

    /// <summary>Records nobody should accept: an old line's, a repeated one, one with a gap before it.</summary>
    private async Task OfferNonsenseAsync(ReplicaKeeper keeper)
    {
        Replica replica = keeper.Replica;
        ulong next = replica.ReceivedSequence + 1;
        if (_watch.Line != _firstLine)
        {
            AppendOutcome stale = await replica.AppendAsync(Feeder.MakeRecord(_firstLine, next), default);
            Expect(stale is AppendOutcome.StaleLine, "lines", $"a record of the old line {_firstLine} was answered with {stale}");
            _context.Counters.Add("replica: stale record offered");
        }

        AppendOutcome gap = await replica.AppendAsync(Feeder.MakeRecord(replica.Line, next + 1000), default);
        Expect(gap is AppendOutcome.Gap or AppendOutcome.Diverged or AppendOutcome.StaleLine, "sequence", $"a record with a gap before it was answered with {gap}");
    }

    private void Expect(bool holds, string checker, string otherwise)
    {
        if (!holds)
        {
            _watch.Violate(checker, otherwise);
        }
    }

    /// <summary>Without faults everything ends well: a new point, all applied, the base equal to it, and nothing damaged.</summary>
    private async Task LastLifeAsync()
    {
        _target.Disk.OnOperation = null;
        _diskIsFaulty = false;
        _guest.IsQuiet = true;
        SimProcess process = _target.Start("last", async self =>
        {
            _isFeeding = false;
            ReplicaKeeper keeper = await ReplicaKeeper.OpenAsync(_watch, self, _settings, _random.Fork(6), _context.Logger);
            if (_watch.Failover is not null)
            {
                await ResumeFailoverAsync(keeper);
            }

            await FeedAsync(keeper, self);
            RecoveryPoint newest = keeper.Replica.Points[^1];
            Expect(keeper.Checker.FindCut(newest) is { } cut && ModelGuest.Verify(cut.Disks) is null, "guest", "the newest point is no prefix of what the guest wrote");
            if (_random.Chance(0.7))
            {
                ApplyOutcome? outcome = await keeper.ApplyAsync(newest);
                Expect(outcome is ApplyOutcome.Applied or ApplyOutcome.NothingToDo, "apply", $"the newest point could not be applied: {outcome}");
                new BaseChecker(_target, _watch).Check(newest);
            }

            await keeper.CheckAllAsync();
            await keeper.Replica.DisposeAsync();
            _context.Counters.Add("points checked byte for byte", keeper.Checker.TakePointsChecked());
        });
        await process.Ended;
        Judge(process.Failure);
    }
}
