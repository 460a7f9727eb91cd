using System.Diagnostics;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Jobs;

/// <summary>What a step left behind.</summary>
/// <param name="Made">Lines for the job's list of what it made or kept.</param>
/// <param name="Learnt">The job's input with what this step found out; becomes durable with the step's end.</param>
/// <param name="Wait">The step is not done: somebody says first what to do.</param>
internal sealed record StepResult(string? Detail, IReadOnlyList<string> Made, JobInput? Learnt = null, JobWait Wait = JobWait.None)
{
    public static StepResult Done(string? detail = null) => new(detail, []);
}

/// <summary>One attempt at one step: its identity, its reporter, and how it asks agents.</summary>
internal sealed class StepRun(JobRow job, OperationId operation, AgentRegistry agents, StepReporter reporter, TimeProvider time, TimeSpan hostReturnLimit)
{
    /// <summary>Before a command that failed for a moment is given again: a libvirtd or a storage daemon that died is back
    /// within seconds. What lasts longer is for the person who retries the job.</summary>
    private static readonly TimeSpan[] PausesBeforeAgain = [TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(4)];

    /// <summary>An agent that was told to end what it does gets so much longer for saying so.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    public JobId Job { get; } = new(job.Id);

    public VmId Vm { get; } = new(job.VmId);

    public string VmName => job.VmName;

    /// <summary>What the user left when completing the test.</summary>
    public string? Note => job.Note;

    public JobInput Input { get; } = JobView.Input(job);

    public string JobName => job.Name;

    /// <summary>Whether the job has such a step.</summary>
    public bool Has(StepKind kind) => JobView.Flow(job).Any(step => step.Kind == kind);

    /// <exception cref="UnreachableException">The job is of another action.</exception>
    public TInput InputAs<TInput>()
        where TInput : JobInput =>
        Input as TInput ?? throw new UnreachableException($"job {Job} has the input of another action");

    public OperationId Operation => operation;

    public DateTimeOffset Now => time.GetUtcNow();

    public StepReporter Reporter => reporter;

    /// <summary>
    /// Asks a host to do its part, once: a lost connection is waited out and the same operation asked for again. A cancel
    /// is passed on to the agent, whose answer then tells how it ended. A command that failed of something that passes by
    /// itself is given again, a few times; every step can be begun twice.
    /// </summary>
    /// <exception cref="ErrorException">The agent refused, or did not come back in time.</exception>
    public Task<TAnswer> AskAsync<TRequest, TAnswer>(
        HostRow host, AgentMethod<TRequest, TAnswer> method, TRequest body, CancellationToken cancel, CancellationToken stopping) =>
        AskAsync(host, method, body, stopping, cancel, stopping);

    /// <summary>
    /// As when it is asked without a limit, for what the job can go on without: at the limit the agent is told to end it, and is then
    /// waited for no longer than <see cref="Patience"/>. Its host's disk or libvirt may have died under it, and it with them.
    /// </summary>
    /// <exception cref="ErrorException">The agent refused, or did not answer in time; it may still do it.</exception>
    public async Task<TAnswer> TryAskAsync<TRequest, TAnswer>(
        HostRow host, AgentMethod<TRequest, TAnswer> method, TRequest body, TimeSpan limit, CancellationToken cancel, CancellationToken stopping)
    {
        using CancellationTokenSource over = new(limit, time);
        using CancellationTokenSource given = new(limit + Patience, time);
        using CancellationTokenSource asked = CancellationTokenSource.CreateLinkedTokenSource(cancel, over.Token);
        using CancellationTokenSource waiting = CancellationTokenSource.CreateLinkedTokenSource(stopping, given.Token);
        try
        {
            return await AskAsync(host, method, body, waiting.Token, asked.Token, stopping);
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested && !cancel.IsCancellationRequested && !stopping.IsCancellationRequested)
        {
            throw new ErrorException(Errors.HostSilent(host.Name, limit));
        }
    }

    private async Task<TAnswer> AskAsync<TRequest, TAnswer>(
        HostRow host, AgentMethod<TRequest, TAnswer> method, TRequest body, CancellationToken waiting, CancellationToken cancel, CancellationToken stopping)
    {
        byte failed = 0;
        while (true)
        {
            OperationId given = failed == 0 ? operation : operation.Again(failed);
            AgentSession session = await WaitForHostAsync(new HostId(host.Id), host.Name, cancel, stopping);
            using CancellationTokenRegistration passOn = cancel.Register(() => _ = session.RequestCancelAsync(given));
            AgentReply<TAnswer> reply = await session.InvokeAsync(
                method, method.ChangesThings ? given : null, body, progress => reporter.Report(progress.Fraction, progress.Text), waiting);
            switch (reply)
            {
                case AgentReply<TAnswer>.Answered answered:
                    return answered.Value;
                case AgentReply<TAnswer>.Refused { Error.Error.Code: "cancelled" } when cancel.IsCancellationRequested:
                    throw new OperationCanceledException(cancel);
                case AgentReply<TAnswer>.Refused { Error: { Class: FaultClass.Transient } passing } when method.ChangesThings && failed < PausesBeforeAgain.Length:
                    reporter.Report(null, $"{passing.Error}; it is tried again");
                    await PauseAsync(PausesBeforeAgain[failed++], cancel, stopping);
                    break;
                case AgentReply<TAnswer>.Refused refused:
                    throw new ErrorException(refused.Error.Error);
            }
        }
    }

    private async Task PauseAsync(TimeSpan pause, CancellationToken cancel, CancellationToken stopping)
    {
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancel, stopping);
        await Task.Delay(pause, time, either.Token);
    }

    /// <summary>For steps that can leave a host's part for later.</summary>
    public Task<bool> IsThereAsync(HostRow host, CancellationToken cancellationToken) => agents.IsThereAsync(new HostId(host.Id), cancellationToken);

    /// <summary>Waits for the host as an order to it would.</summary>
    public Task WaitForAsync(HostRow host, CancellationToken cancel, CancellationToken stopping) => WaitForHostAsync(new HostId(host.Id), host.Name, cancel, stopping);

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
            AgentSession session = await agents.WaitAsync(host, any.Token) ?? throw new ErrorException(Errors.UnknownHost(hostName));
            reporter.WaitIsOver();
            return session;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested && !stopping.IsCancellationRequested)
        {
            throw new ErrorException(Errors.HostWentAway(hostName, hostReturnLimit));
        }
    }
}
