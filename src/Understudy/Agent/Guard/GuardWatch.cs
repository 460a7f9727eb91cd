using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Protection.Ports;

namespace Understudy.Agent.Guard;

/// <summary>Keeps the start guard installed, finds out whether libvirt asks it, and says for as long as it is so that it does
/// not. Looked at by others while its loop runs.</summary>
internal sealed class GuardWatch(GuardInstaller installer, GuardTrial trial, TimeProvider time, ILogger logger)
{
    /// <summary>Somebody may restart libvirtd, or take the hook away, at any time.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(30);

    /// <summary>Where libvirt does not ask, each trial starts a QEMU for a moment.</summary>
    private static readonly TimeSpan TryEvery = TimeSpan.FromMinutes(5);

    private volatile GuardState? _tried;
    private long _triedAt;
    private string? _said;

    /// <summary>Whether libvirt asks it, as far as that is known at this moment.</summary>
    public GuardState State() => installer.State() is var now && now.Force == GuardForce.NotSeen && _tried is { } tried ? tried : now;

    public async Task RunAsync(Action<AgentEvent> tell, CancellationToken cancellationToken)
    {
        while (true)
        {
            Say(await LookAsync(cancellationToken), tell);
            await Task.Delay(LookEvery, time, cancellationToken);
        }
    }

    /// <summary>Installs it where it is missing, and tries it out where libvirt has not asked it.</summary>
    public async Task<GuardState> LookAsync(CancellationToken cancellationToken)
    {
        if (installer.Install().Force == GuardForce.NotSeen && (_tried is not { Force: GuardForce.NotAsked } || time.GetElapsedTime(_triedAt) >= TryEvery))
        {
            _tried = Judge(await trial.RunAsync(cancellationToken));
            _triedAt = time.GetTimestamp();
        }

        return State();
    }

    private static GuardState Judge(StartTrialOutcome outcome) => outcome switch
    {
        StartTrialOutcome.Started => new GuardState(
            GuardForce.NotAsked,
            "libvirt starts VMs without asking it, since there was no hook when it last looked for hooks; make it look again (systemctl reload libvirtd, or virtqemud), running VMs are not touched"),
        StartTrialOutcome.Refused refused => new GuardState(GuardForce.NotSeen, $"libvirt has not asked it, and it could not be tried out: {refused.Words}"),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private void Say(GuardState state, Action<AgentEvent> tell)
    {
        if (state.Problem != _said)
        {
            if (state.Problem is { } problem)
            {
                AgentLog.GuardNotInForce(logger, problem);
                tell(new AgentEvent(time.GetUtcNow(), HealthLevel.Warning, "start-guard-off", null, $"The start guard is not in force on this host: {problem}"));
            }
            else
            {
                AgentLog.GuardInForce(logger);
            }
        }

        _said = state.Problem;
    }
}
