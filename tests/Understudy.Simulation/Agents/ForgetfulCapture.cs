using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;

namespace Understudy.Simulation.Agents;

/// <summary>A planted fault: change tracking that leaves out the last of the changed blocks.</summary>
internal sealed class ForgetfulCapture(IVmCapture inner) : IVmCapture
{
    private readonly IVmCapture _inner = inner;

    public ValueTask<IReadOnlyList<string>> ListCheckpointsAsync(VmId vm, CancellationToken cancellationToken) =>
        _inner.ListCheckpointsAsync(vm, cancellationToken);

    public async ValueTask<ICapture> BeginCaptureAsync(CaptureRequest request, CancellationToken cancellationToken) =>
        new Forgetting(await _inner.BeginCaptureAsync(request, cancellationToken));

    public ValueTask DeleteCheckpointAsync(VmId vm, string name, CancellationToken cancellationToken) =>
        _inner.DeleteCheckpointAsync(vm, name, cancellationToken);

    public ValueTask ClearStaleCaptureAsync(VmId vm, CancellationToken cancellationToken) =>
        _inner.ClearStaleCaptureAsync(vm, cancellationToken);

    private sealed class Forgetting(ICapture inner) : ICapture
    {
        private readonly ICapture _inner = inner;

        public IReadOnlyList<CapturedDisk> Disks => _inner.Disks;

        public DateTimeOffset CutAt => _inner.CutAt;

        public async ValueTask<IReadOnlyList<ByteRange>> GetChangedAsync(CapturedDisk disk, CancellationToken cancellationToken)
        {
            IReadOnlyList<ByteRange> ranges = await _inner.GetChangedAsync(disk, cancellationToken);
            return ranges.Count == 0
                ? ranges
                : [.. ranges.SkipLast(1), new ByteRange(ranges[^1].OffsetBytes, Math.Max(0, ranges[^1].LengthBytes - BlockSize.Bytes))];
        }

        public ValueTask<IReadOnlyList<BlockExtent>> GetAllocationAsync(CapturedDisk disk, ByteRange range, CancellationToken cancellationToken) =>
            _inner.GetAllocationAsync(disk, range, cancellationToken);

        public ValueTask EndAsync(CancellationToken cancellationToken) => _inner.EndAsync(cancellationToken);

        public ValueTask DisposeAsync() => _inner.DisposeAsync();
    }
}
