using Understudy.Blocks.Identity;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Runs;
using Understudy.Simulation.Machines;
using Understudy.Simulation.Models;

namespace Understudy.Simulation.Sites.Checkers;

/// <summary>
/// The branches of one replica as they were listed: one stays listed, and what it shows stays as it was, until it is
/// deleted by name, has been kept for as long as was promised, or its protection ends.
/// </summary>
internal sealed class BranchLedger(PointLedger points)
{
    private readonly PointLedger _points = points;
    private readonly Dictionary<BranchId, Known> _known = [];
    private DateTimeOffset _latest;

    /// <summary>Asked to be deleted, at least once.</summary>
    public HashSet<BranchId> Deleted { get; } = [];

    /// <summary>An order was answered with the branch: from now on it must be listed.</summary>
    public void Promise(BranchId branch) => _known.TryAdd(branch, new Known(DateTimeOffset.MaxValue, []));

    /// <param name="now">By the host's clock, which may go back.</param>
    public void Look(ReplicaHost host, ModelMachine machine, DateTimeOffset now)
    {
        _latest = now > _latest ? now : _latest;
        IReadOnlyList<BranchStatus> listed = host.Status.Branches;
        foreach (BranchRecord branch in listed.Select(b => b.Branch).Where(b => b.Step == BranchStep.Kept))
        {
            if (!_known.TryGetValue(branch.Id, out Known? known) || known.Contents.Count == 0)
            {
                _known[branch.Id] = known = new Known(branch.ExpiresAt, [.. branch.Disks.Select(disk => Snapshot(machine, disk))]);
            }

            Compare(branch, known, machine);
        }

        if (_points.IsEnding)
        {
            return;
        }

        foreach ((BranchId id, Known known) in _known.Where(k => !Deleted.Contains(k.Key) && _latest < k.Value.ExpiresAt).ToArray())
        {
            if (!listed.Any(b => b.Branch.Id == id))
            {
                _points.Violate("branches", $"branch {id} was kept and is gone; it was promised until {known.ExpiresAt:O}");
            }
        }
    }

    private void Compare(BranchRecord branch, Known known, ModelMachine machine)
    {
        for (int disk = 0; disk < branch.Disks.Count; disk++)
        {
            if (known.Contents[disk] is { } before && Snapshot(machine, branch.Disks[disk]) is { } now && before.FirstDifference(now) is { } block)
            {
                _points.Violate("branches", $"block {block} of {branch.Disks[disk].Overlay} was written after it had become branch {branch.Id}");
            }
        }
    }

    /// <summary>What a reader of it must see; null where nobody knows.</summary>
    private static DiskImage? Snapshot(ModelMachine machine, RunDisk disk) => machine.Images.GetValueOrDefault(disk.Overlay)?.Expected?.Snapshot();

    private sealed record Known(DateTimeOffset ExpiresAt, IReadOnlyList<DiskImage?> Contents);
}
