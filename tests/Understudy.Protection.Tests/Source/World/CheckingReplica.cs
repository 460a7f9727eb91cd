using System.Text;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;
using Understudy.Testing.Devices;

namespace Understudy.Protection.Tests.Source.World;

/// <summary>
/// A replica reduced to images in memory. At every listed point it compares them, byte for byte, with what the VM's disks
/// held at that cut, and the definition with the VM's.
/// </summary>
internal sealed class CheckingReplica(ScriptedVm vm, LineId line) : IReplicaSink
{
    private readonly RecordCodec _codec = new();
    private readonly List<byte[]> _unflushed = [];
    private readonly SortedDictionary<DiskId, byte[]> _disks = [];
    private readonly Dictionary<DiskId, string> _names = [];
    private GeometryBody? _geometry;
    private string? _definition;

    private readonly SortedDictionary<DiskId, byte[]> _disksAtPoint = [];
    private CancellationTokenSource _lineEnds = new();

    public CurrentLine Current { get; private set; } = new(line);

    public CancellationToken LineEnds => _lineEnds.Token;

    public ulong ReceivedSequence { get; private set; }

    public ulong FlushedSequence { get; private set; }

    public RecoveryPointId? LastPoint { get; private set; }

    public List<(ulong Sequence, DateTimeOffset CutAt)> Points { get; } = [];

    /// <summary>Of each point: number, device and size of every disk it has.</summary>
    public List<string> DisksOfPoints { get; } = [];

    public List<string> Definitions { get; } = [];

    public long DataBytes { get; private set; }

    public long ZeroRecords { get; private set; }

    /// <summary>Answers instead of the rules when set.</summary>
    public Func<RecordHeader, AppendOutcome?>? Instead { get; set; }

    public ValueTask<AppendOutcome> AppendAsync(ReadOnlyMemory<byte> record, CancellationToken cancellationToken)
    {
        Assert.Equal(RecordDefect.None, RecordHeader.Read(record.Span, out RecordHeader header));
        Assert.True(header.Matches(record.Span[RecordHeader.SizeBytes..]));
        return ValueTask.FromResult(Instead?.Invoke(header) ?? Append(header, record));
    }

    public bool HoldsSeed => Seeds.Count > 0;

    /// <summary>What a disk holds before anything is sent, by its device at the guest.</summary>
    public Dictionary<string, byte[]> Seeds { get; } = [];

    /// <summary>A block that cannot be read any more, by its place in the first disk; null for none.</summary>
    public int? DamagedBlock { get; set; }

    public int Questions { get; private set; }

    public ValueTask<IBlockDevice?> OpenNewestAsync(DiskId disk, CancellationToken cancellationToken)
    {
        Assert.Empty(_unflushed);
        if (_geometry?.Find(disk) is null)
        {
            return ValueTask.FromResult<IBlockDevice?>(null);
        }

        Questions++;
        MemoryBlockDevice device = new((byte[])_disks[disk].Clone(), isReadOnly: true);
        return ValueTask.FromResult<IBlockDevice?>(DamagedBlock is { } block && disk.Value == 0 ? new DamagedDevice(device, block) : device);
    }

    public ValueTask<ulong> FlushAsync(CancellationToken cancellationToken)
    {
        foreach (byte[] record in _unflushed)
        {
            RecordHeader.Read(record, out RecordHeader header);
            Apply(header, record.AsSpan(RecordHeader.SizeBytes));
        }

        _unflushed.Clear();
        FlushedSequence = ReceivedSequence;
        return ValueTask.FromResult(FlushedSequence);
    }

    /// <summary>A newer line begins at the newest point: what came after it is dropped, and whoever sends is told.</summary>
    public void MoveTo(LineId next, DateTimeOffset mintedAt, LineOffer? offer = null)
    {
        Current = new CurrentLine(next, mintedAt, offer);
        _unflushed.Clear();
        ReceivedSequence = FlushedSequence = LastPoint!.Value.Sequence; // Not null: a line begins at a point.
        _disks.Clear();
        foreach ((DiskId disk, byte[] content) in _disksAtPoint)
        {
            _disks[disk] = (byte[])content.Clone();
        }

        CancellationTokenSource ended = _lineEnds;
        _lineEnds = new CancellationTokenSource();
        ended.Cancel();
    }

    /// <summary>Power loss at the target.</summary>
    public void Crash()
    {
        _unflushed.Clear();
        ReceivedSequence = FlushedSequence;
    }

    /// <summary>The target's storage lost what it had promised.</summary>
    public void Forget(ulong records) => ReceivedSequence = FlushedSequence -= records;

    private AppendOutcome Append(RecordHeader header, ReadOnlyMemory<byte> record)
    {
        if (header.Line != Current.Line)
        {
            return new AppendOutcome.StaleLine(Current.Line);
        }

        if (header.Sequence <= ReceivedSequence)
        {
            return new AppendOutcome.Duplicate();
        }

        if (header.Sequence != ReceivedSequence + 1)
        {
            return new AppendOutcome.Gap(ReceivedSequence + 1);
        }

        _unflushed.Add(record.ToArray());
        ReceivedSequence = header.Sequence;
        return new AppendOutcome.Accepted();
    }

    private void Apply(RecordHeader header, ReadOnlySpan<byte> payload)
    {
        byte[] body = new byte[header.Kind == RecordKind.Zero ? 0 : header.LengthBytes];
        Assert.True(header.Kind == RecordKind.Zero || _codec.TryDecode(header, payload, body));
        switch (header.Kind)
        {
            case RecordKind.Geometry:
                TakeGeometry(GeometryBody.TryRead(body)!);
                break;
            case RecordKind.Definition:
                _definition = Encoding.UTF8.GetString(body);
                Definitions.Add(_definition);
                break;
            case RecordKind.Data:
                DataBytes += body.Length;
                body.CopyTo(_disks[header.Disk].AsSpan((int)header.OffsetBytes));
                break;
            case RecordKind.Zero:
                ZeroRecords++;
                _disks[header.Disk].AsSpan((int)header.OffsetBytes, (int)header.LengthBytes).Clear();
                break;
            case RecordKind.Checkpoint:
                TakePoint(header, CheckpointBody.TryRead(body)!);
                break;
        }
    }

    private void TakePoint(RecordHeader header, CheckpointBody body)
    {
        if (body.Hidden)
        {
            return;
        }

        IReadOnlyDictionary<string, byte[]> truth = vm.ContentAt(body.CutAt);
        foreach (DiskGeometry disk in _geometry!.OfPoint.Disks)
        {
            byte[] content = truth[disk.Target];
            int differs = content.AsSpan().CommonPrefixLength(_disks[disk.Disk]);
            Assert.True(
                differs == content.Length && content.Length == _disks[disk.Disk].Length,
                $"point {header.Sequence}: disk {disk.Target} differs from the cut of {body.CutAt:O} at byte {differs}");
        }

        Assert.Contains($"<description>{vm.DefinitionVersion}</description>", _definition, StringComparison.Ordinal);
        Assert.All(_geometry.OfPoint.Disks, disk => Assert.Contains($"'{disk.Target}'", _definition, StringComparison.Ordinal));
        _disksAtPoint.Clear();
        foreach ((DiskId disk, byte[] content) in _disks)
        {
            _disksAtPoint[disk] = (byte[])content.Clone();
        }

        LastPoint = header.PointId;
        Points.Add((header.Sequence, body.CutAt));
        DisksOfPoints.Add(string.Join(' ', _geometry.OfPoint.Disks.Select(disk => $"{disk.Disk}:{disk.Target}:{disk.SizeBytes}")));
    }

    /// <summary>As the real replica does: a number is one disk's for ever, and a disk only grows.</summary>
    private void TakeGeometry(GeometryBody geometry)
    {
        foreach (DiskGeometry disk in geometry.Disks)
        {
            byte[] before = _disks.GetValueOrDefault(disk.Disk) ?? Seeds.GetValueOrDefault(disk.Target) ?? [];
            Assert.True(disk.SizeBytes >= before.Length, $"disk {disk.Disk} shrinks");
            Assert.True(
                _geometry?.Find(disk.Disk) is not null || !_names.TryGetValue(disk.Disk, out string? name) || name == disk.Target,
                $"number {disk.Disk} is given to {disk.Target} after {_names.GetValueOrDefault(disk.Disk)}");
            Array.Resize(ref before, (int)disk.SizeBytes);
            _disks[disk.Disk] = before;
            _names[disk.Disk] = disk.Target;
        }

        _geometry = geometry;
    }
}
