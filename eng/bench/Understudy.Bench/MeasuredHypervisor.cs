using System.Diagnostics;
using System.Threading.Channels;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;

namespace Understudy.Bench;

/// <param name="InLibvirt">Of it, in calls to the hypervisor.</param>
internal readonly record struct CycleTime(TimeSpan Whole, TimeSpan InLibvirt)
{
    public TimeSpan Own => Whole - InLibvirt;
}

/// <summary>
/// Stands between the source engine and the hypervisor: holds each cycle back until it is wanted, and times it from the
/// engine's first question about the VM to the deletion of the older checkpoint. The engine is one loop, so calls never
/// overlap and their times may be added.
/// </summary>
internal sealed class MeasuredHypervisor(IHypervisor inner) : IVmInventory, IVmCapture
{
    private readonly Channel<bool> _wanted = Channel.CreateBounded<bool>(1); // One cycle is asked for at a time.
    private readonly Lock _lock = new(); // guards the fields below: written by the engine's loop, read by the measuring one
    private TaskCompletionSource<CycleTime>? _measured;
    private bool _free = true;
    private long _began;
    private TimeSpan _inLibvirt;

    /// <summary>From now on a cycle begins only when it is measured.</summary>
    public void HoldCycles()
    {
        lock (_lock)
        {
            _free = false;
        }
    }

    /// <summary>Lets one cycle through, as soon as it is due, and says how long it took.</summary>
    public async Task<CycleTime> MeasureCycleAsync(CancellationToken cancellationToken)
    {
        TaskCompletionSource<CycleTime> measured = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            _measured = measured;
        }

        _wanted.Writer.TryWrite(true);
        return await measured.Task.WaitAsync(BenchLimits.Cycle, cancellationToken);
    }

    public async ValueTask<VmFacts?> FindVmAsync(VmId vm, CancellationToken cancellationToken)
    {
        bool free;
        lock (_lock)
        {
            free = _free;
        }

        if (!free)
        {
            await _wanted.Reader.ReadAsync(cancellationToken);
        }

        lock (_lock)
        {
            _began = Stopwatch.GetTimestamp();
            _inLibvirt = TimeSpan.Zero;
        }

        return await TimeAsync(inner.FindVmAsync(vm, cancellationToken));
    }

    public ValueTask<string> GetDefinitionAsync(VmId vm, DefinitionKind kind, CancellationToken cancellationToken) =>
        TimeAsync(inner.GetDefinitionAsync(vm, kind, cancellationToken));

    public ValueTask<HostFacts> GetHostAsync(CancellationToken cancellationToken) => inner.GetHostAsync(cancellationToken);

    public ValueTask<IReadOnlyList<VmFacts>> ListVmsAsync(CancellationToken cancellationToken) => inner.ListVmsAsync(cancellationToken);

    public ValueTask<IReadOnlyList<string>> ListCheckpointsAsync(VmId vm, CancellationToken cancellationToken) =>
        TimeAsync(inner.ListCheckpointsAsync(vm, cancellationToken));

    public async ValueTask<ICapture> BeginCaptureAsync(CaptureRequest request, CancellationToken cancellationToken) =>
        new MeasuredCapture(this, await TimeAsync(inner.BeginCaptureAsync(request, cancellationToken)));

    public async ValueTask DeleteCheckpointAsync(VmId vm, string name, CancellationToken cancellationToken)
    {
        await TimeAsync(DoneAsync(inner.DeleteCheckpointAsync(vm, name, cancellationToken)));
        lock (_lock)
        {
            _measured?.TrySetResult(new CycleTime(Stopwatch.GetElapsedTime(_began), _inLibvirt));
            _measured = null;
        }
    }

    public ValueTask ClearStaleCaptureAsync(VmId vm, CancellationToken cancellationToken) => inner.ClearStaleCaptureAsync(vm, cancellationToken);

    private async ValueTask<T> TimeAsync<T>(ValueTask<T> call)
    {
        long began = Stopwatch.GetTimestamp();
        T answer = await call;
        lock (_lock)
        {
            _inLibvirt += Stopwatch.GetElapsedTime(began);
        }

        return answer;
    }

    private static async ValueTask<bool> DoneAsync(ValueTask call)
    {
        await call;
        return true;
    }

    /// <summary>Reading from the capture is our own work; only its end is libvirt's.</summary>
    private sealed class MeasuredCapture(MeasuredHypervisor owner, ICapture inner) : ICapture
    {
        public IReadOnlyList<CapturedDisk> Disks => inner.Disks;

        public DateTimeOffset CutAt => inner.CutAt;

        public ValueTask<IReadOnlyList<ByteRange>> GetChangedAsync(CapturedDisk disk, CancellationToken cancellationToken) =>
            inner.GetChangedAsync(disk, cancellationToken);

        public ValueTask<IReadOnlyList<BlockExtent>> GetAllocationAsync(CapturedDisk disk, ByteRange range, CancellationToken cancellationToken) =>
            inner.GetAllocationAsync(disk, range, cancellationToken);

        public async ValueTask EndAsync(CancellationToken cancellationToken) =>
            await owner.TimeAsync(DoneAsync(inner.EndAsync(cancellationToken)));

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
