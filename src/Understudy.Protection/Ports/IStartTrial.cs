using Understudy.Blocks.Identity;

namespace Understudy.Protection.Ports;

/// <summary>Whether the hypervisor would start a VM, found out without anybody's VM.</summary>
public interface IStartTrial
{
    /// <summary>Tries to start a VM that has nothing: no disks, no network, hardly any memory, paused. One that starts is ended
    /// at once, also when this process dies.</summary>
    ValueTask<StartTrialOutcome> TryStartAsync(VmId vm, string name, CancellationToken cancellationToken);
}

public abstract record StartTrialOutcome
{
    private StartTrialOutcome()
    {
    }

    public sealed record Started : StartTrialOutcome;

    /// <param name="Words">The hypervisor's.</param>
    public sealed record Refused(string Words) : StartTrialOutcome;
}
