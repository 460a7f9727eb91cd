using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.Agent.Guard;

/// <summary>Installs the start guard when the agent starts, and says for as long as it is so that libvirt does not ask it.</summary>
internal sealed class GuardWatch(GuardInstaller installer, Action<AgentEvent> tell, TimeProvider time, ILogger logger)
{
    /// <summary>Somebody may restart libvirtd, or take the hook away, at any time.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMinutes(5);

    private string? _said;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Look();
            await Task.Delay(LookEvery, time, cancellationToken);
        }
    }

    private void Look()
    {
        GuardState state = installer.Install();
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
