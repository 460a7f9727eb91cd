using Understudy.Protection.Ports;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Models;

/// <summary>How long calls of a host's hypervisor take, and how often one fails, before or after it has taken effect.</summary>
internal sealed class CallBehaviour
{
    private static readonly HypervisorFault[] _faults =
        [HypervisorFault.Busy, HypervisorFault.TimedOut, HypervisorFault.Unreachable, HypervisorFault.Other];

    private readonly SimRandom _random;
    private readonly TimeSpan _callTime;
    private readonly TimeSpan _readTime;

    public CallBehaviour(SimRandom random)
    {
        _random = random;
        _callTime = random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(200));
        _readTime = random.Between(TimeSpan.FromMicroseconds(50), TimeSpan.FromMilliseconds(3));
    }

    /// <summary>The chance that a call fails.</summary>
    public double CallFault { get; set; }

    public long FaultsInjected { get; private set; }

    /// <summary>The call is on its way in: it may fail without having done anything.</summary>
    public async ValueTask BeginAsync(string what, SimProcess caller, CancellationToken cancellationToken)
    {
        await LatencyAsync(caller, cancellationToken);
        MaybeFail(what);
    }

    /// <summary>The answer may be lost, or the caller killed, after the call has done its work.</summary>
    public async ValueTask EndAsync(string what, SimProcess caller, CancellationToken cancellationToken)
    {
        await LatencyAsync(caller, cancellationToken);
        MaybeFail(what);
    }

    public async ValueTask LatencyAsync(SimProcess caller, CancellationToken cancellationToken) =>
        await caller.TakeTimeAsync(_callTime * (0.2 + _random.NextFraction())).WaitAsync(cancellationToken);

    public async ValueTask ReadLatencyAsync(SimProcess caller, CancellationToken cancellationToken) =>
        await caller.TakeTimeAsync(_readTime * (0.2 + _random.NextFraction())).WaitAsync(cancellationToken);

    private void MaybeFail(string what)
    {
        if (_random.Chance(CallFault))
        {
            FaultsInjected++;
            throw new HypervisorException(_random.Pick(_faults), $"{what} failed (simulated)");
        }
    }
}
