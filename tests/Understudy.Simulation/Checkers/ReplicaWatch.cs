using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Protection.Source;
using Understudy.Simulation.Models;
using Understudy.Simulation.Running;

namespace Understudy.Simulation.Checkers;

/// <summary>
/// What the checkers know of one replica from outside: what it has promised, what it has listed, and which orders it was
/// given. It lives in the world, not in any process, so a restart or a power loss does not make it forget.
/// </summary>
internal sealed class ReplicaWatch(ModelVm vm, ReplicaId id, LineId firstLine, Violations violations) : IPointOwner
{
    private readonly SortedDictionary<ulong, RecoveryPoint> _listed = [];
    private readonly Violations _violations = violations;
    private readonly SortedDictionary<ulong, RecordHeader> _accepted = [];
    private ulong _promised;
    private ulong _oldestOrdered;

    public ModelVm Vm { get; } = vm;

    public ReplicaId Id { get; } = id;

    /// <summary>The line that the source was given at the beginning.</summary>
    public LineId FirstLine { get; } = firstLine;

    /// <summary>What its first copy begins with; null for nothing.</summary>
    public ModelSeed? Seed { get; init; }

    public bool IsCreated { get; set; }

    /// <summary>The source has answered that its durable state exists.</summary>
    public bool IsProtected { get; set; }

    /// <summary>The engine of the source's present life, for its status.</summary>
    public SourceVm? Source { get; set; }

    /// <summary>Somebody has ordered an unplanned failover of this VM.</summary>
    public bool FailoverWanted { get; set; }

    /// <summary>The point that the failover went to, once it is done.</summary>
    public RecoveryPoint? FailedOverTo { get; private set; }

    /// <summary>The line that owns the VM as far as anybody was told.</summary>
    public LineId Line { get; private set; } = firstLine;

    /// <summary>An order whose answer is not known yet: it may have happened, or not.</summary>
    public LineOrder? LineInDoubt { get; private set; }

    public Drop? DropInDoubt { get; private set; }

    /// <summary>A failover that was ordered; it is carried on with after a restart.</summary>
    public LineOrder? Failover { get; set; }

    /// <summary>Drops that were answered: each must be remembered as divergence.</summary>
    public List<Drop> Drops { get; } = [];

    /// <summary>Pins that were answered, by the point they hold.</summary>
    public Dictionary<PinId, RecoveryPoint> Pins { get; } = [];

    public ulong Promised => _promised;

    public RecoveryPoint? Newest => _listed.Count == 0 ? null : _listed.Values.Last();

    public void Violate(string checker, string what) => _violations.Report($"{checker} ({Vm.Name})", what);

    /// <summary>The replica has said that everything up to here is durable; whoever heard it relies on it.</summary>
    public void Promise(ulong sequence) => _promised = Math.Max(_promised, sequence);

    /// <summary>Points before this one may vanish from now on.</summary>
    public void OrderOldest(ulong sequence) => _oldestOrdered = Math.Max(_oldestOrdered, sequence);

    public void Accepted(in RecordHeader header) => _accepted[header.Sequence] = header;

    /// <summary>What accepted records after one sequence up to another had in them.</summary>
    public IReadOnlyList<Touch> Touched(ulong after, ulong through) =>
        [.. _accepted.Where(a => a.Key > after && a.Key <= through && a.Value.IsExtent).Select(a => new Touch(a.Value.Disk.Value, a.Value.Range))];

    public void FailedOver(RecoveryPoint parent)
    {
        FailoverWanted = false;
        FailedOverTo = parent;
    }

    public void OrderLine(LineOrder order) => LineInDoubt = order;

    public void LineAnswered()
    {
        Line = LineInDoubt?.Line ?? Line;
        LineInDoubt = null;
    }

    public void LineRefused() => LineInDoubt = null;

    public void DropCancelled() => DropInDoubt = null;

    public void OrderDrop(Drop drop) => DropInDoubt = drop;

    public void DropAnswered()
    {
        if (DropInDoubt is { } drop)
        {
            Drops.Add(drop);
            Forget(drop.Parent.Sequence);
        }

        DropInDoubt = null;
    }

    /// <summary>The replica as it was found after a start: everything promised must be there.</summary>
    public void Opened(Replica replica)
    {
        if (LineInDoubt is { } order && replica.Line == order.Line)
        {
            LineAnswered();
        }

        LineInDoubt = null;
        if (DropInDoubt is { } drop && replica.Status.Divergence.Count > drop.NotedBefore)
        {
            DropAnswered(); // Nothing promised may be gone otherwise: the check of what was promised sees to that.
        }

        DropInDoubt = null;
        if (replica.Line != Line)
        {
            Violate("lines", $"the replica's line is {replica.Line}, it was made {Line}");
        }

        if (replica.FlushedSequence < _promised)
        {
            Violate("durability", $"sequence {_promised} was acknowledged, after a restart only {replica.FlushedSequence} is there");
        }

        if (Source?.Status.LastPoint is { } told && told.Id.Line == replica.Line && told.Id.Sequence > replica.FlushedSequence)
        {
            Violate("durability", $"the source was told that {told.Id} is durable, after a restart only {replica.FlushedSequence} is there");
        }

        Look(replica);
    }

    /// <summary>Compares the points listed now with those listed before.</summary>
    public void Look(Replica replica)
    {
        IReadOnlyList<RecoveryPoint> now = replica.Points;
        for (int i = 1; i < now.Count; i++)
        {
            if (now[i].Sequence <= now[i - 1].Sequence)
            {
                Violate("points", $"{now[i].Id} is listed after {now[i - 1].Id}");
            }
        }

        foreach (RecoveryPoint before in _listed.Values)
        {
            bool mayGo = before.Sequence < _oldestOrdered || DropInDoubt is { } drop && before.Sequence > drop.Parent.Sequence;
            if (!mayGo && !now.Any(p => p.Id == before.Id))
            {
                Violate("points", $"{before.Id} was listed and is gone; points before {_oldestOrdered} may go");
            }
        }

        _listed.Clear();
        foreach (RecoveryPoint point in now)
        {
            _listed[point.Sequence] = point;
        }
    }

    private void Forget(ulong after)
    {
        _promised = Math.Min(_promised, after);
        foreach (ulong sequence in _listed.Keys.Where(s => s > after).ToArray())
        {
            _listed.Remove(sequence);
        }
    }
}

internal sealed record LineOrder(LineId Line, RecoveryPointId Parent);

/// <summary>Records that were dropped, and what they had touched as the checker knows it.</summary>
/// <param name="NotedBefore">How many divergences the replica knew when the order was given.</param>
internal sealed record Drop(RecoveryPointId Parent, IReadOnlyList<Touch> Touched, int NotedBefore);
