using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Source;

namespace Understudy.Bench;

/// <summary>The source's half: the real engine with its spool on a folder, running until it is disposed.</summary>
internal sealed class SourceSide : ISourceEvents, IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly MeasuredHypervisor _measured;
    private SourceVm? _engine;
    private Task _running = Task.CompletedTask;

    private SourceSide(MeasuredHypervisor measured) => _measured = measured;

    /// <summary>Returns when the first copy is at the target.</summary>
    public static async Task<SourceSide> StartAsync(
        BenchHost host, RecoveryHost target, VmId vm, string vmName, LineId line, CancellationToken cancellationToken)
    {
        SourceSide side = new(new MeasuredHypervisor(host.Hypervisor));
        SourceEnvironment environment = new(
            side._measured,
            side._measured,
            new FolderStore(Directory.CreateDirectory(host.At("spool")).FullName),
            target,
            new CaptureLimiter(1),
            side,
            TimeProvider.System,
            SystemIds.Instance,
            "bench",
            NullLogger<SourceVm>.Instance);
        DiskNow[] disks = [.. BenchVm.Devices.Select(device => new DiskNow(device, BenchVm.DiskBytes))];
        SourceSpec spec = new(target.Replica.Spec.Replica, vm, vmName, line);
        side._engine = await SourceVm.CreateAsync(
            environment, spec, disks, new SourcePolicy { Frequency = SourcePolicy.ShortestFrequency }, cancellationToken);
        side._running = side._engine.RunAsync(side._stop.Token);
        try
        {
            await side.WaitForFirstCopyAsync(cancellationToken);
        }
        catch
        {
            await side.DisposeAsync();
            throw;
        }

        return side;
    }

    /// <summary>One cycle, made when the engine finds it due.</summary>
    public async Task<CycleTime> CycleAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _measured.MeasureCycleAsync(cancellationToken);
        }
        catch (TimeoutException)
        {
            throw new InvalidOperationException($"no cycle within {BenchLimits.Cycle.TotalSeconds:0} s: {_engine?.Status.Fault?.What ?? "no fault is known"}");
        }
    }

    public void Raise(SourceEvent happened)
    {
        // The status says all that a run needs.
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        try
        {
            await _running;
        }
        catch (OperationCanceledException)
        {
            // Asked to stop.
        }

        _engine?.Dispose();
        _stop.Dispose();
    }

    private async Task WaitForFirstCopyAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(BenchLimits.Cycle);
        while (_engine!.Status is not { Phase: SourcePhase.Protected, Wait: SourceWait.NextCycle }) // Not null: called when it runs.
        {
            if (_running.IsCompleted)
            {
                await _running;
            }

            await Task.Delay(20, limit.Token);
        }

        _measured.HoldCycles();
    }
}
