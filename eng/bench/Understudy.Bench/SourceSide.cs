using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Guard;
using Understudy.Protection.Ownership;
using Understudy.Protection.Source;
using Understudy.Qemu;
using Understudy.Qemu.Stopped;

namespace Understudy.Bench;

/// <summary>The source's half: the real engine with its spool on a folder, running until it is disposed.</summary>
internal sealed class SourceSide : ISourceEvents, IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly MeasuredHypervisor _measured;
    private SourceHost? _host;
    private Task _running = Task.CompletedTask;

    private SourceSide(MeasuredHypervisor measured) => _measured = measured;

    /// <summary>Returns when the first copy is at the target.</summary>
    public static async Task<SourceSide> StartAsync(
        BenchHost host, RecoveryHost target, VmId vm, string vmName, LineId line, CancellationToken cancellationToken)
    {
        SourceSide side = new(new MeasuredHypervisor(host.Hypervisor));
        StoppedDisks stopped = new(new StorageDaemons(host.Qemu, NullLogger<StorageDaemons>.Instance), host.Images, host.At("views"), TimeProvider.System);
        GuardFolder guard = new(new FolderStore(Directory.CreateDirectory(host.At("source-guard")).FullName), "bench", 0);
        SourceHostEnvironment environment = new(
            new SourceMachine(side._measured, side._measured, host.Hypervisor, stopped, host.Images),
            new FolderStore(Directory.CreateDirectory(host.At("spool")).FullName),
            Guid.Empty,
            target,
            new CaptureLimiter(1),
            side,
            new OwnershipServices(guard, "bench", TimeProvider.System, NullLogger.Instance),
            SystemIds.Instance,
            "bench",
            NullLogger<SourceVm>.Instance);
        DiskNow[] disks = [.. BenchVm.Devices.Select(device => new DiskNow(device, BenchVm.DiskBytes))];
        SourceSpec spec = new(target.Replica.Spec.Replica, vm, vmName, line);
        side._host = await SourceHost.CreateAsync(
            environment, spec, disks, new SourcePolicy { Frequency = SourcePolicy.ShortestFrequency }, cancellationToken);
        side._running = side._host.RunAsync(side._stop.Token);
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
            throw new InvalidOperationException($"no cycle within {BenchLimits.Cycle.TotalSeconds:0} s: {_host?.Engine.Status.Fault?.What ?? "no fault is known"}");
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

        _host?.Dispose();
        _stop.Dispose();
    }

    private async Task WaitForFirstCopyAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(BenchLimits.Cycle);
        while (_host!.Engine.Status is not { Phase: SourcePhase.Protected, Wait: SourceWait.NextCycle }) // Not null: called when it runs.
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
