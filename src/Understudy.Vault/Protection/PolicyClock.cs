using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Events;
using Understudy.Vault.Jobs;
using Understudy.Vault.Protection.Commands;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>
/// What policies do by the clock: commit or cancel a failover when its countdown has run out, and cut bookmarks. Both are
/// read from the database each time, so a vault that was off makes up for it once, and nothing is done twice. What cannot be
/// taken back is done by a clock that is believed only (<see cref="BelievedClock"/>).
/// </summary>
internal sealed partial class PolicyClock(
    VaultStorage storage, CommandDesk desk, FailoverCommands failovers, EventJournal events, BelievedClock believed, TimeProvider time, ILogger<PolicyClock> logger)
{
    /// <summary>Countdowns are minutes at least; a few seconds late is on time.</summary>
    private static readonly TimeSpan _interval = TimeSpan.FromSeconds(2);

    /// <summary>A bookmark that the vault slept through for longer is no bookmark of that time any more.</summary>
    private static readonly TimeSpan _latestBookmark = TimeSpan.FromMinutes(15);

    public async Task RunAsync(CancellationToken stopping)
    {
        using PeriodicTimer timer = new(_interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                await LookAsync(stopping);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The vault stops.
        }
    }

    private async Task LookAsync(CancellationToken stopping)
    {
        try
        {
            DateTimeOffset? now = believed.Now();
            await using VaultDb db = storage.Open();
            Dictionary<string, Policy> policies = await db.Policies.AsNoTracking().ToDictionaryAsync(row => row.Name, row => row.ToModel(), stopping);
            string[] clocked = [.. policies.Values.Where(policy => policy.Bookmarks != Timetable.None).Select(policy => policy.Name)];
            List<ProtectionRow> rows = await db.Protections.AsNoTracking()
                .Where(row => (row.PendingSince != null && row.CountdownJob == null) || clocked.Contains(row.Policy))
                .ToListAsync(stopping);
            foreach (ProtectionRow row in rows)
            {
                await DecideAsync(ProtectionRows.ToModel(row, []), row, policies[row.Policy], now, stopping);
                await BookmarkAsync(row, policies[row.Policy], stopping);
            }
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            Broke(logger, fault); // the database, most likely; the next look finds the same
        }
    }

    private async Task DecideAsync(ProtectedVm vm, ProtectionRow row, Policy policy, DateTimeOffset? now, CancellationToken stopping)
    {
        if (row.CountdownJob is not null || Countdown.Of(vm.Pending, policy) is not { } countdown || now is null || now < countdown.At)
        {
            return;
        }

        if (countdown.Does == JobAction.Cancel && !desk.IsOnline(vm.SourceHost))
        {
            return; // It would run nowhere (a person has to give a word for that): looked at again when the source is back.
        }

        VmCommand command = countdown.Does == JobAction.Commit ? VmCommand.Commit : VmCommand.Cancel;
        JobInput input = countdown.Does == JobAction.Commit ? new PlainInput(vm.Replica) : failovers.NewCancel(vm);
        if (await StartAsync(row, command, input, policy, (candidate, job) => candidate.CountdownJob = job.Value, stopping))
        {
            await events.AddAsync(HealthLevel.Normal, "countdown-over", row.VmId, null, $"The countdown of policy {policy.Name} has run out: {countdown.Does.Word()} of {vm.Name} begins.", stopping);
        }
    }

    private async Task BookmarkAsync(ProtectionRow row, Policy policy, CancellationToken stopping)
    {
        DateTimeOffset now = time.GetUtcNow();
        DateTimeOffset earliest = now - _latestBookmark;
        DateTimeOffset since = row.BookmarkedUntil is { } until && until > earliest && until <= now ? until : earliest; // a later one is of a clock that was ahead
        if (row.Stage == nameof(ProtectionStage.Replicating) && policy.Bookmarks.Due(since, now) is { } due)
        {
            MarkInput input = new(new ReplicaId(row.Replica), $"{policy.Name} {due:yyyy-MM-dd HH:mm}");
            await StartAsync(row, VmCommand.Mark, input, policy, (candidate, _) => candidate.BookmarkedUntil = due, stopping);
        }
    }

    /// <returns>False when it is not lawful now, or the VM is in a job: it is looked at again.</returns>
    private async Task<bool> StartAsync(ProtectionRow row, VmCommand command, JobInput input, Policy policy, Action<ProtectionRow, JobId> note, CancellationToken stopping)
    {
        try
        {
            await using VaultDb db = storage.Open();
            Subject subject = await desk.DecideAsync(db, row.VmId.ToString(), command, stopping);
            NewJob job = new(subject.Vm.Vm, subject.Vm.Name, subject.Go.Action, subject.Go.Steps, input, $"policy {policy.Name}");
            await desk.StartAsync(job, async (along, id) => note(await along.Protections.SingleAsync(candidate => candidate.VmId == row.VmId, stopping), id), stopping);
            return true;
        }
        catch (ErrorException notNow)
        {
            NotNow(logger, row.Name, command, notNow.Error.ToString());
            return false;
        }
    }

    [LoggerMessage(400, LogLevel.Error, "The policies' clock could not look; it looks again")]
    private static partial void Broke(ILogger logger, Exception fault);

    [LoggerMessage(401, LogLevel.Debug, "VM {Vm}: {Command} by its policy is not lawful now: {Error}")]
    private static partial void NotNow(ILogger logger, string vm, VmCommand command, string error);
}
