using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Runs;
using Understudy.Simulation.Checkers;
using Understudy.Simulation.Models;

namespace Understudy.Simulation.Sites.Checkers;

/// <summary>
/// The points of one replica as they were listed: one that was listed stays listed, over restarts and failovers and their
/// cancels, until retention, a commit to an older one, or the end of the protection may take it. Lines only go forward.
/// </summary>
internal sealed class PointLedger : IPointOwner
{
    private readonly VmWatch _watch;
    private readonly Dictionary<RecoveryPointId, RecoveryPoint> _known = [];
    private readonly Dictionary<DiskId, string> _devices = [];
    private IReadOnlyList<RecoveryPoint> _listed = [];
    private LineId _line;
    private ulong _oldestKept;

    public PointLedger(VmWatch watch, ReplicaId replica)
    {
        _watch = watch;
        Replica = replica;
        Branches = new BranchLedger(this);
    }

    public ReplicaId Replica { get; }

    public BranchLedger Branches { get; }

    public ModelVm Vm => _watch.Vm;

    /// <summary>The shortest window that was ever asked for.</summary>
    public TimeSpan Retention { get; private set; } = TimeSpan.MaxValue;

    /// <summary>Its protection has been ordered to end: nothing is promised any more.</summary>
    public bool IsEnding { get; set; }

    public bool LeavesDisksOut { get; set; }

    /// <summary>Devices that the newest table of disks of the source names, without those whose own first copy is under way.</summary>
    public IReadOnlyList<string> Members { get; private set; } = [];

    public IReadOnlyList<RecoveryPoint> Listed => _listed;

    /// <summary>All that were ever listed.</summary>
    public IReadOnlyList<RecoveryPoint> Known => [.. _known.Values.OrderBy(p => p.Sequence)];

    public RecoveryPoint? Newest => _listed.Count == 0 ? null : _listed[^1];

    public void Violate(string checker, string what) => _watch.Violate(checker, what);

    /// <summary>A window is asked for: what is outside of it may go from now on.</summary>
    public void Order(TimeSpan retention) => Retention = retention < Retention ? retention : Retention;

    /// <summary>What the source held at a point; null for a point that was never listed.</summary>
    public Cut? CutOf(RecoveryPointId point) => Find(point) is { } known ? Vm.FindCut(known.CutAt) : null;

    /// <summary>A point that is or was listed.</summary>
    public RecoveryPoint? Find(RecoveryPointId point) => _known.GetValueOrDefault(point);

    /// <summary>The source has sent a table of its disks. A number is never given to two disks.</summary>
    public void NoteDisks(GeometryBody disks)
    {
        Members = [.. disks.OfPoint.Disks.Select(disk => disk.Target)];
        foreach (DiskGeometry disk in disks.Disks)
        {
            if (_devices.TryAdd(disk.Disk, disk.Target) is false && _devices[disk.Disk] != disk.Target)
            {
                Violate("points", $"disk {disk.Disk} was {_devices[disk.Disk]} and is {disk.Target} now");
            }
        }
    }

    /// <summary>What the source held on a disk at a point.</summary>
    public DiskImage? ContentOf(RecoveryPointId point, DiskId disk) =>
        CutOf(point) is { } cut && _devices.TryGetValue(disk, out string? device) ? cut.Disks[Vm.Targets.IndexOf(device)] : null;

    /// <summary>Compares what is listed now with what was before. Called whenever it may have changed.</summary>
    public void Look(ReplicaHost host)
    {
        ReplicaHostStatus status = host.Status;
        IReadOnlyList<RecoveryPoint> now = host.Points;
        foreach (RecoveryPoint point in now)
        {
            _known[point.Id] = point;
        }

        if (status.Replica is { } open)
        {
            if (_line.IsNewerThan(open.Line))
            {
                Violate("lines", $"the replica is on line {open.Line}, it was on {_line} before");
            }

            _line = open.Line;
        }

        for (int i = 1; i < now.Count; i++)
        {
            if (now[i].Sequence <= now[i - 1].Sequence)
            {
                Violate("points", $"{now[i].Id} is listed after {now[i - 1].Id}");
            }
        }

        if (!IsEnding)
        {
            Compare(now, status.Failover);
        }

        _listed = now;
    }

    private void Compare(IReadOnlyList<RecoveryPoint> now, FailoverRecord? failover)
    {
        if (failover is { Step: >= FailoverStep.EndingViews })
        {
            return; // The base is becoming the VM's own disk: its points are merged.
        }

        // A clock that was set back makes the window longer again; what had left it may be gone all the same.
        RecoveryPoint[] all = [.. _listed.UnionBy(now, p => p.Id).OrderBy(p => p.Sequence)];
        _oldestKept = Math.Max(_oldestKept, RetentionPlan.ChooseOldest(all, DateTimeOffset.MaxValue, Retention)?.Sequence ?? 0);
        foreach (RecoveryPoint before in _listed)
        {
            bool mayGo = before.Sequence < _oldestKept || (failover is { Step: >= FailoverStep.Dropping } && before.Sequence > failover.Point.Sequence)
                || (failover is { Step: >= FailoverStep.Applying } && before.Sequence < failover.Point.Sequence);
            if (!mayGo && !now.Any(p => p.Id == before.Id))
            {
                Violate("points", $"{before.Id} was listed and is gone; the window of {Retention} begins at {_oldestKept}, the failover is {failover?.Step}");
            }
        }
    }
}
