using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Jobs;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection.Commands;

/// <summary>The ways over, and what may follow until the commit.</summary>
internal sealed class FailoverCommands(CommandDesk desk, PointFinder points, AgentRegistry agents, IIdSource ids, TimeProvider time)
{
    private static readonly TimeSpan _usualShutdown = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan _longestShutdown = TimeSpan.FromHours(2);

    public async Task<FailoverPreviewDto> PreviewAsync(string vmName, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.UnplannedFailover, cancellationToken);
        SourceSight sight = await SourceWatch.LookAsync(db, agents, desk.Board, subject.Vm, cancellationToken);
        string source = await CommandDesk.HostNameAsync(db, subject.Vm.SourceHost, cancellationToken);
        string target = await CommandDesk.HostNameAsync(db, subject.Vm.TargetHost, cancellationToken);
        RecoveryPointInfo? latest = desk.Board.Get(subject.Vm.Vm).Newest;
        return new FailoverPreviewDto(
            subject.Vm.Name,
            sight.Knowledge,
            target,
            latest is null ? null : VmView.ToDto(latest),
            latest is null ? null : VmView.Age(latest, time.GetUtcNow()),
            Confirmation.Failover,
            [
                SourceWatch.Say(sight, subject.Vm.Name, source),
                "What was written after the chosen point is not in it.",
            ]);
    }

    public Task<JobId> FailOverAsync(string vmName, FailoverDto request, string user, CancellationToken cancellationToken) =>
        request.Unplanned ? UnplannedAsync(vmName, request, user, cancellationToken) : PlannedAsync(vmName, request, user, cancellationToken);

    /// <summary>A test becomes the VM: from the same point, after the source was fenced and shut down where it could be (TST-2).</summary>
    public async Task<JobId> PromoteAsync(string vmName, PromoteDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Promote, cancellationToken);
        TestInfo test = ChooseTest(subject.Vm, request.Test);
        CommandDesk.RequireWord(Confirmation.Failover, request.Confirm);
        RunChoices run = await AtTarget.RunAsync(db, subject.Vm, request.Run, cancellationToken);
        FailoverInput input = new(
            subject.Vm.Replica, test.Point, desk.RanAtSource(subject.Vm), _usualShutdown, Test: test.Id, Label: CommandDesk.Label(request.Label), Run: run);
        return await desk.StartAsync(subject, input, user, cancellationToken);
    }

    public async Task<JobId> ChangePointAsync(string vmName, ChangePointDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.ChangePoint, cancellationToken);
        RecoveryPointInfo point = await points.FindAsync(subject.Vm, request.Point, cancellationToken);
        RunChoices run = await AtTarget.RunAsync(db, (subject.Vm.Pending?.Run ?? RunChoices.None).Over(subject.Vm), request.Run, cancellationToken);
        return await desk.StartAsync(subject, new ChangePointInput(subject.Vm.Replica, point.Id, CommandDesk.Label(request.Label), run), user, cancellationToken);
    }

    public async Task<JobId> CancelAsync(string vmName, CancelFailoverDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Cancel, cancellationToken);
        await desk.RequireOnlineAsync(db, subject.Vm.TargetHost, cancellationToken);
        if (subject.Vm.Stage == ProtectionStage.CommitPending && !desk.IsOnline(subject.Vm.SourceHost) && request.Confirm != Confirmation.Offline)
        {
            throw new ErrorException(Errors.WouldRunNowhere(subject.Vm.Name, await CommandDesk.HostNameAsync(db, subject.Vm.SourceHost, cancellationToken)));
        }

        return await desk.StartAsync(subject, NewCancel(subject.Vm), user, cancellationToken);
    }

    public async Task<JobId> CommitAsync(string vmName, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Commit, cancellationToken);
        await desk.RequireOnlineAsync(db, subject.Vm.TargetHost, cancellationToken);
        return await desk.StartAsync(subject, new PlainInput(subject.Vm.Replica), user, cancellationToken);
    }

    /// <summary>It shall run at its source again when it did before.</summary>
    public CancelInput NewCancel(ProtectedVm vm) => new(vm.Replica, new TransferId(ids.NewGuid()), vm.RanAtSource);

    private async Task<JobId> PlannedAsync(string vmName, FailoverDto request, string user, CancellationToken cancellationToken)
    {
        if (request.Point is not (null or PointChoice.Latest))
        {
            throw new ErrorException(Errors.BadValue("point", request.Point, "a planned failover makes its own point; another one needs --unplanned, or change-point afterwards"));
        }

        if (request.ShutDownSource)
        {
            throw new ErrorException(Errors.BadValue("shutDownSource", "true", "a planned failover always shuts the source down; the option is for an unplanned one"));
        }

        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.PlannedFailover, cancellationToken);
        await desk.RequireOnlineAsync(db, subject.Vm.SourceHost, cancellationToken);
        await desk.RequireOnlineAsync(db, subject.Vm.TargetHost, cancellationToken);
        RunChoices run = await AtTarget.RunAsync(db, subject.Vm, request.Run, cancellationToken);
        FailoverInput input = new(
            subject.Vm.Replica, null, desk.RanAtSource(subject.Vm), ShutdownLimit(request.ShutdownLimit), new TransferId(ids.NewGuid()),
            Label: CommandDesk.Label(request.Label), Run: run);
        return await desk.StartAsync(subject, input, user, cancellationToken);
    }

    private async Task<JobId> UnplannedAsync(string vmName, FailoverDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.UnplannedFailover, cancellationToken);
        CommandDesk.RequireWord(Confirmation.Failover, request.Confirm);
        RecoveryPointInfo point = await points.FindAsync(subject.Vm, request.Point, cancellationToken);

        // With the shutdown, "latest" is what the last change will have made.
        bool newest = request.ShutDownSource && request.Point is null or PointChoice.Latest;
        RunChoices run = await AtTarget.RunAsync(db, subject.Vm, request.Run, cancellationToken);
        FailoverInput input = new(
            subject.Vm.Replica, newest ? null : point.Id, desk.RanAtSource(subject.Vm), ShutdownLimit(request.ShutdownLimit),
            Label: CommandDesk.Label(request.Label), Run: run);
        Decision.Go go = request.ShutDownSource ? subject.Go with { Steps = LifeCycle.UnplannedWithShutdown } : subject.Go;
        return await desk.StartAsync(subject with { Go = go }, input, user, cancellationToken);
    }

    /// <summary>How long a guest may take to shut down.</summary>
    /// <exception cref="ErrorException">It is no duration, or out of range.</exception>
    public static TimeSpan ShutdownLimit(string? wanted)
    {
        if (wanted is not { } text)
        {
            return _usualShutdown;
        }

        return !Durations.TryParse(text, out TimeSpan limit) ? throw new ErrorException(Errors.BadDuration("shutdownLimit", text))
            : limit <= TimeSpan.Zero || limit > _longestShutdown
                ? throw new ErrorException(Errors.BadValue("shutdownLimit", text, $"it takes up to {Durations.Format(_longestShutdown)}"))
            : limit;
    }

    private static TestInfo ChooseTest(ProtectedVm vm, string? name) => (name, vm.Tests) switch
    {
        (null, [var only]) => only,
        (null, _) => throw new ErrorException(Errors.BadValue("test", "", $"several stand: {string.Join(", ", vm.Tests.Select(test => test.VmName))}")),
        _ => vm.Tests.FirstOrDefault(test => test.VmName == name) ?? throw new ErrorException(Errors.BadValue("test", name, "no test of that name stands")),
    };
}
