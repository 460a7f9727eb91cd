using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;

namespace Understudy.Simulation.Sites.Agents;

/// <summary>A planted fault: the disks of a VM that was shut down for its hand-over seem to have no change since the last cut.</summary>
internal sealed class ForgetfulStoppedDisks(IStoppedDisks inner) : IStoppedDisks
{
    private readonly IStoppedDisks _inner = inner;

    public async ValueTask<ICapture> OpenAsync(StoppedDisksRequest request, CancellationToken cancellationToken) =>
        new Unchanged(await _inner.OpenAsync(request, cancellationToken));

    public ValueTask CloseStaleAsync(VmId vm, CancellationToken cancellationToken) => _inner.CloseStaleAsync(vm, cancellationToken);

    private sealed class Unchanged(ICapture inner) : ICapture
    {
        private readonly ICapture _inner = inner;

        public IReadOnlyList<CapturedDisk> Disks => _inner.Disks;

        public DateTimeOffset CutAt => _inner.CutAt;

        public ValueTask<IReadOnlyList<ByteRange>> GetChangedAsync(CapturedDisk disk, CancellationToken cancellationToken) => new((IReadOnlyList<ByteRange>)[]);

        public ValueTask<IReadOnlyList<BlockExtent>> GetAllocationAsync(CapturedDisk disk, ByteRange range, CancellationToken cancellationToken) =>
            _inner.GetAllocationAsync(disk, range, cancellationToken);

        public ValueTask EndAsync(CancellationToken cancellationToken) => _inner.EndAsync(cancellationToken);

        public ValueTask DisposeAsync() => _inner.DisposeAsync();
    }
}
