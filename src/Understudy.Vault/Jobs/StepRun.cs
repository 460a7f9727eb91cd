using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Agents;

namespace Understudy.Vault.Jobs;

/// <summary>What a step left behind.</summary>
/// <param name="Made">Lines for the job's list of what it made or kept.</param>
internal sealed record StepResult(string? Detail, IReadOnlyList<string> Made)
{
    public static StepResult Done(string? detail = null) => new(detail, []);
}

/// <summary>One attempt at one step: its identity, its reporter, and how it asks agents.</summary>
internal sealed class StepRun(
    JobId job, VmId vm, string vmName, string? note, JobInput input, OperationId operation, AgentRegistry agents, StepReporter reporter, TimeProvider time, TimeSpan hostReturnLimit)
{
    public JobId Job => job;

    public VmId Vm => vm;

    public string VmName => vmName;

    /// <summary>What the user left when completing the test.</summary>
    public string? Note => note;

    public JobInput Input => input;

    public OperationId Operation => operation;

    public DateTimeOffset Now => time.GetUtcNow();

    public StepReporter Reporter => reporter;

    /// <summary>
    /// Asks a host to do its part, once: a lost connection is waited out and the same operation asked for again. A cancel
    /// is passed on to the agent, whose answer then tells how it ended.
    /// </summary>
    /// <exception cref="ErrorException">The agent refused, or did not come back in time.</exception>
    public async Task<TAnswer> AskAsync<TRequest, TAnswer>(
        HostId host, string hostName, AgentMethod<TRequest, TAnswer> method, TRequest body, CancellationToken cancel, CancellationToken stopping)
    {
        while (true)
        {
            AgentSession session = await WaitForHostAsync(host, hostName, cancel, stopping);
            using CancellationTokenRegistration passOn = cancel.Register(() => _ = session.RequestCancelAsync(operation));
            AgentReply<TAnswer> reply = await session.InvokeAsync(
                method, method.ChangesThings ? operation : null, body, progress => reporter.Report(progress.Fraction, progress.Text), stopping);
            switch (reply)
            {
                case AgentReply<TAnswer>.Answered answered:
                    return answered.Value;
                case AgentReply<TAnswer>.Refused { Error.Error.Code: "cancelled" } when cancel.IsCancellationRequested:
                    throw new OperationCanceledException(cancel);
                case AgentReply<TAnswer>.Refused refused:
                    throw new ErrorException(refused.Error.Error);
            }
        }
    }

    private async Task<AgentSession> WaitForHostAsync(HostId host, string hostName, CancellationToken cancel, CancellationToken stopping)
    {
        if (agents.Find(host) is { } present)
        {
            return present;
        }

        reporter.WaitFor(hostName);
        using CancellationTokenSource limit = new(hostReturnLimit, time);
        using CancellationTokenSource any = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel, stopping);
        try
        {
            AgentSession session = await agents.WaitAsync(host, any.Token);
            reporter.WaitIsOver();
            return session;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested && !stopping.IsCancellationRequested)
        {
            throw new ErrorException(Errors.HostWentAway(hostName, hostReturnLimit));
        }
    }
}
