using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Jobs;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection.Commands;

/// <summary>A protected VM for which a command is lawful.</summary>
internal sealed record Subject(ProtectedVm Vm, Decision.Go Go);

/// <summary>Where every command on a VM begins and ends: <see cref="LifeCycle"/> decides, a job does it.</summary>
internal sealed class CommandDesk(VaultStorage storage, AgentRegistry agents, ReportBoard board, JobStore jobs, JobRunner runner)
{
    /// <summary>A person waits for it.</summary>
    private static readonly TimeSpan _answerLimit = TimeSpan.FromSeconds(45);

    public ReportBoard Board => board;

    public VaultDb Open() => storage.Open();

    /// <exception cref="ErrorException">The command is not lawful now; says why and what comes first.</exception>
    public async Task<Subject> DecideAsync(VaultDb db, string vmName, VmCommand command, CancellationToken cancellationToken)
    {
        (VmId id, string name) = await db.FindVmAsync(vmName, cancellationToken);
        ProtectedVm? vm = await db.FindProtectedAsync(id, cancellationToken);
        return LifeCycle.Decide(await SituationAsync(db, vm, id, name, cancellationToken), command) switch
        {
            Decision.Go go when vm is not null => new Subject(vm, go),
            Decision.Refuse refuse => throw new ErrorException(refuse.Error),
            _ => throw new ErrorException(Errors.NotProtected(name)),
        };
    }

    public async Task<VmSituation> SituationAsync(VaultDb db, ProtectedVm? vm, VmId id, string name, CancellationToken cancellationToken) =>
        ProtectionRows.Situation(
            vm,
            board.Get(id),
            name,
            vm is null ? null : await HostNameAsync(db, vm.TargetHost, cancellationToken),
            await db.Retired.CountAsync(row => row.VmId == id.Value, cancellationToken));

    public Task<JobId> StartAsync(Subject subject, JobInput input, string user, CancellationToken cancellationToken) =>
        StartAsync(new NewJob(subject.Vm.Vm, subject.Vm.Name, subject.Go.Action, subject.Go.Steps, input, user), null, cancellationToken);

    /// <param name="along">Further changes that become true together with the job.</param>
    public async Task<JobId> StartAsync(NewJob job, Func<VaultDb, JobId, Task>? along, CancellationToken cancellationToken)
    {
        JobId id = await jobs.CreateAsync(job, along, cancellationToken);
        runner.Start(id);
        return id;
    }

    public bool IsOnline(HostId host) => agents.Find(host) is not null;

    public async Task RequireOnlineAsync(VaultDb db, HostId host, CancellationToken cancellationToken)
    {
        if (!IsOnline(host))
        {
            throw new ErrorException(Errors.HostOffline(await HostNameAsync(db, host, cancellationToken)));
        }
    }

    /// <summary>A question that changes nothing, asked before there is a job.</summary>
    /// <exception cref="ErrorException">The agent is away, refuses, or does not answer in time.</exception>
    public async Task<TAnswer> AskAsync<TRequest, TAnswer>(
        HostId host, string name, AgentMethod<TRequest, TAnswer> method, TRequest body, CancellationToken cancellationToken)
    {
        Invariant.Check(!method.ChangesThings, "what changes things is asked by a job");
        AgentSession session = agents.Find(host) ?? throw new ErrorException(Errors.HostOffline(name));
        using CancellationTokenSource limit = new(_answerLimit);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await session.InvokeAsync(method, null, body, null, either.Token) switch
            {
                AgentReply<TAnswer>.Answered answered => answered.Value,
                AgentReply<TAnswer>.Refused refused => throw new ErrorException(refused.Error.Error),
                _ => throw new ErrorException(Errors.HostOffline(name)),
            };
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ErrorException(Errors.HostOffline(name));
        }
    }

    /// <summary>A VM that an earlier attempt has fenced and shut down is off because of that attempt.</summary>
    public bool RanAtSource(ProtectedVm vm) => board.Get(vm.Vm).Source switch
    {
        { } report when HealthRules.IsFencedOwner(report) => vm.RanAtSource,
        { Power: VmPower.Off or VmPower.Crashed } => false,
        _ => true,
    };

    public static Task<string> HostNameAsync(VaultDb db, HostId host, CancellationToken cancellationToken) =>
        db.Hosts.Where(row => row.Id == host.Value).Select(row => row.Name).SingleAsync(cancellationToken);

    public static void RequireWord(string word, string? given)
    {
        if (given != word)
        {
            throw new ErrorException(Errors.WrongConfirmation(word, given));
        }
    }

    /// <summary>A label is for a line of a table and the body of a checkpoint record.</summary>
    public static string? Label(string? label)
    {
        string? text = label?.Trim();
        return text switch
        {
            null or "" => null,
            { Length: > VmNames.MaxLength } => throw new ErrorException(Errors.BadValue("label", text, $"it has at most {VmNames.MaxLength} characters")),
            _ when text.Any(char.IsControl) => throw new ErrorException(Errors.BadValue(
                "label", string.Concat(text.Select(character => char.IsControl(character) ? '?' : character)), "it is one line of text, without control characters")),
            _ => text,
        };
    }
}
