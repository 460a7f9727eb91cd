using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Testing;

namespace Understudy.Journal.Tests.Rig;

/// <summary>What must be true of a replica at one moment, as the outside knows it.</summary>
internal sealed record Expectation(
    int Changes, LineId Line, ulong Acknowledged, IReadOnlySet<RecoveryPointId> Listed, IReadOnlySet<RecoveryPointId> Known,
    IReadOnlyDictionary<PinId, RecoveryPointId> Pins, string Step);

/// <summary>
/// Random use of a replica on a <see cref="CrashDisk"/>, beside plain arrays that say what every point must hold. After
/// each step it notes what must be true from then on.
/// </summary>
internal sealed class ReplicaScript(CrashDisk disk, Random random, ReplicaSettings? settings = null)
{
    private readonly FixedTime _time = new();
    private readonly SeededIdSource _ids = new(random.Next());
    private readonly List<ReplicaView> _views = [];
    private readonly List<RecoveryPointId> _checkpoints = [];
    private readonly SortedDictionary<PinId, RecoveryPointId> _pins = [];
    private readonly SourceModel _source = new(TestRig.Line1);
    private Replica? _replica;
    private uint _lines = 1;
    private ushort _nextDisk = 4;

    public Dictionary<RecoveryPointId, Snapshot> Snapshots { get; } = [];

    public List<Expectation> Expectations { get; } = [];

    /// <summary>What each drop must have noted: parent, and the ranges of each disk.</summary>
    public List<(int Changes, RecoveryPointId Parent, Dictionary<DiskId, ExtentSet> Extents)> Drops { get; } = [];

    public Replica Replica => _replica ?? throw new InvalidOperationException("not begun");

    /// <summary>Steps that are never taken, for tests that have no use for them.</summary>
    public HashSet<string> Without { get; init; } = [];

    private Dictionary<DiskId, ExtentSet> _sinceCheckpoint = [];
    private readonly Dictionary<RecoveryPointId, Dictionary<DiskId, ExtentSet>> _touchedBefore = [];

    public async Task BeginAsync()
    {
        _replica = await Replica.CreateAsync(TestRig.Environment(disk, settings, _time, _ids), TestRig.Spec, default);
        await AppendAsync(_source.SetGeometry(TestRig.Disk(0, 4 * 65536), TestRig.Disk(3, (2 * 65536) + 1536)));
        Note("begin");
    }

    public async Task RunAsync(int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            string step = await StepAsync();
            Note(step);
        }
    }

    /// <summary>Makes everything durable.</summary>
    public async Task SettleAsync()
    {
        await Replica.FlushAsync(default);
        Note("settle");
    }

    public async Task CheckEverythingAsync()
    {
        foreach (RecoveryPoint point in Replica.Points)
        {
            await Replica.AssertHoldsAsync(point.Id, Snapshots[point.Id]);
        }

        foreach (RecoveryPointId pinned in _pins.Values)
        {
            await Replica.AssertHoldsAsync(pinned, Snapshots[pinned]);
        }

        foreach (ReplicaView view in _views)
        {
            await view.AssertReadsAsync(Snapshots[view.Point.Id].Disks[view.Disk.Disk]);
        }
    }

    public async Task EndAsync()
    {
        await CloseViewsAsync();
        await Replica.DisposeAsync();
    }

    private async Task<string> StepAsync()
    {
        int dice = random.Next(100);
        IReadOnlyList<RecoveryPoint> points = Replica.Points;
        switch (dice)
        {
            case < 40:
                await ChangeAsync();
                return "change";
            case < 60:
                return await CheckpointAsync();
            case < 63:
                await AppendAsync(_source.SetDefinition(random.Next(1000)));
                return "definition";
            case < 65:
                return await ChangeDisksAsync();
            case < 75 when points.Count > 0:
                RecoveryPointId to = points[random.Next(points.Count)].Id;
                await Replica.ApplyAsync(to, default);
                Assert.Equal(to, Replica.Points[0].Id);
                return $"apply {to.Sequence}";
            case < 80 when points.Count > 0:
                RecoveryPointId pinned = points[random.Next(points.Count)].Id;
                _pins.Add(await Replica.AddPinAsync(pinned, "test", default), pinned);
                return $"pin {pinned.Sequence}";
            case < 84 when _pins.Count > 0:
                PinId pin = _pins.Keys.ElementAt(random.Next(_pins.Count));
                await Replica.RemovePinAsync(pin, default);
                _pins.Remove(pin);
                return "unpin";
            case < 90 when points.Count > 0 && !Without.Contains("view"):
                RecoveryPointId viewed = points[random.Next(points.Count)].Id;
                IReadOnlyList<DiskGeometry> had = Snapshots[viewed].Geometry.OfPoint.Disks;
                DiskId of = had[random.Next(had.Count)].Disk;
                _views.Add(await Replica.OpenViewAsync(viewed, of, default));
                return $"view {viewed.Sequence}";
            case < 93 when _views.Count > 0:
                ReplicaView view = _views[random.Next(_views.Count)];
                await view.AssertReadsAsync(Snapshots[view.Point.Id].Disks[view.Disk.Disk]);
                await view.DisposeAsync();
                _views.Remove(view);
                return "unview";
            case < 96 when points.Count > 0 && !Without.Contains("line"):
                return await MintAsync(points[Math.Max(0, points.Count - 1 - random.Next(3))].Id);
            case < 98 when !Without.Contains("reopen"):
                await ReopenAsync();
                return "reopen";
            default:
                await Replica.FlushAsync(default);
                return "flush";
        }
    }

    private async Task ChangeAsync()
    {
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            DiskId on = _source.Geometry.Disks[random.Next(_source.Geometry.Disks.Count)].Disk;
            int sectors = _source.Disks[on].Length / 512;
            bool whole = sectors >= 128 && random.Next(3) == 0;
            long first = whole ? random.Next(sectors / 128) * 128 : random.Next(sectors);
            long count = whole ? 128 : random.Next(1, (int)Math.Min(sectors - first, 160) + 1);
            ByteRange range = new(first * 512, count * 512);
            if (!_sinceCheckpoint.TryGetValue(on, out ExtentSet? touched))
            {
                _sinceCheckpoint.Add(on, touched = new ExtentSet());
            }

            touched.Add(range);
            await AppendAsync(random.Next(4) == 0 ? _source.Zero(on, range) : _source.Write(on, range.OffsetBytes, Content((int)range.LengthBytes)));
        }
    }

    private byte[] Content(int length)
    {
        byte[] bytes = new byte[length];
        if (random.Next(2) == 0)
        {
            random.NextBytes(bytes);
        }
        else
        {
            bytes.AsSpan().Fill((byte)random.Next(256)); // Compresses well; sometimes all zeros, as data.
        }

        return bytes;
    }

    private async Task<string> CheckpointAsync()
    {
        _time.Now += TimeSpan.FromMinutes(1);
        bool hidden = _checkpoints.Count == 0 && random.Next(2) == 0;
        await AppendAsync(_source.Checkpoint(_time.Now, hidden));
        RecoveryPointId id = _source.LastPoint;
        _touchedBefore[id] = _sinceCheckpoint;
        _sinceCheckpoint = [];
        if (!hidden)
        {
            Snapshots[id] = _source.TakeSnapshot();
            _checkpoints.Add(id);
        }

        if (random.Next(4) > 0)
        {
            Assert.Equal(_source.Sequence, await Replica.FlushAsync(default));
        }

        return $"checkpoint {id.Sequence}";
    }

    /// <summary>A disk grows, goes, comes (at once or joining), or joins.</summary>
    private async Task<string> ChangeDisksAsync()
    {
        List<DiskGeometry> disks = [.. _source.Geometry.Disks];
        int which = random.Next(disks.Count);
        DiskGeometry disk = disks[which];
        string step;
        switch (random.Next(4))
        {
            case 0 when which > 0:
                disks.RemoveAt(which);
                step = $"disk {disk.Disk} goes";
                break;
            case 1 when disks.Count < 4:
                disks.Add(TestRig.Disk(_nextDisk++, random.Next(1, 300) * 512) with { Joining = random.Next(2) == 0 });
                step = $"disk {disks[^1].Disk} comes";
                break;
            case 2:
                disks = [.. disks.Select(d => d with { Joining = false })];
                step = "disks join";
                break;
            default:
                disks[which] = disk with { SizeBytes = Math.Min(8 * 65536, disk.SizeBytes + (random.Next(1, 200) * 512)) };
                step = $"disk {disk.Disk} grows";
                break;
        }

        await AppendAsync(_source.SetGeometry([.. disks]));
        return step;
    }

    private async Task<string> MintAsync(RecoveryPointId parent)
    {
        LineId line = new(++_lines, (UInt128)random.NextInt64());
        LineId before = _source.Line;
        ulong receivedBefore = Replica.ReceivedSequence;
        await Replica.MintLineAsync(line, parent, "script", default);
        Assert.IsType<AppendOutcome.StaleLine>(await Replica.AppendAsync(
            new SourceModel(before) { Sequence = receivedBefore }.Checkpoint(_time.Now), default));
        int position = _checkpoints.IndexOf(parent);
        if (Replica.ReceivedSequence > parent.Sequence)
        {
            Assert.IsType<AppendOutcome.Diverged>(await Replica.AppendAsync(
                new SourceModel(line) { Sequence = parent.Sequence }.Checkpoint(_time.Now), default));
            Note($"mint {parent.Sequence} before its drop");
            Assert.IsType<DropOutcome.Dropped>(await Replica.DropAfterAsync(parent, default));
        }

        NoteDrop(parent, receivedBefore);
        _checkpoints.RemoveRange(position + 1, _checkpoints.Count - position - 1);
        _source.Restore(Snapshots[parent], line);
        return $"mint {parent.Sequence}";
    }

    private void NoteDrop(RecoveryPointId parent, ulong receivedBefore)
    {
        if (receivedBefore > parent.Sequence)
        {
            Dictionary<DiskId, ExtentSet> extents = _sinceCheckpoint;
            foreach ((RecoveryPointId id, Dictionary<DiskId, ExtentSet> touched) in _touchedBefore.Where(t => t.Key.Sequence > parent.Sequence).ToList())
            {
                _touchedBefore.Remove(id);
                foreach ((DiskId on, ExtentSet set) in touched)
                {
                    extents[on] = extents.TryGetValue(on, out ExtentSet? already) ? already.Union(set) : set;
                }
            }

            Drops.Add((disk.Changes.Count, parent, extents));
        }

        _sinceCheckpoint = [];
    }

    private async Task ReopenAsync()
    {
        await CloseViewsAsync();
        await Replica.FlushAsync(default);
        await Replica.DisposeAsync();
        _replica = await Replica.OpenAsync(TestRig.Environment(disk, settings, _time, _ids), default);
        Assert.Equal(_source.Sequence, Replica.ReceivedSequence);
    }

    private async Task CloseViewsAsync()
    {
        foreach (ReplicaView view in _views)
        {
            await view.DisposeAsync();
        }

        _views.Clear();
    }

    private Task AppendAsync(byte[] record) => Replica.AppendAsync(record);

    private void Note(string step) => Expectations.Add(new Expectation(
        disk.Changes.Count, Replica.Line, Replica.FlushedSequence, Replica.Points.Select(p => p.Id).ToHashSet(),
        _checkpoints.ToHashSet(), new SortedDictionary<PinId, RecoveryPointId>(_pins), step));
}
