using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>
/// How old the newest point became (MON-1): for each VM the worst age in each five minutes, a week back. Ages grow between
/// points, so the worst is at an arrival or at the end of the five minutes; both are looked at, and nothing is sampled.
/// </summary>
internal sealed partial class RpoHistory(VaultStorage storage, ReportBoard board, TimeProvider time, ILogger<RpoHistory> logger)
{
    public static readonly TimeSpan Stretch = TimeSpan.FromMinutes(5);
    public static readonly TimeSpan Kept = TimeSpan.FromDays(7);

    private readonly ConcurrentDictionary<VmId, double> _worst = new(); // of the stretch under way; any thread may raise one

    /// <summary>A newer point has come: until now the one before was the newest.</summary>
    public void Arrived(VmId vm, DateTimeOffset previousCutAt) => Raise(vm, (time.GetUtcNow() - previousCutAt).TotalSeconds);

    public async Task RunAsync(CancellationToken stopping)
    {
        using PeriodicTimer timer = new(Stretch, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                await CloseAsync(stopping);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The vault stops; of the stretch under way nothing is kept.
        }
    }

    /// <summary>Ends the stretch: one row for each VM that runs at its source and has a point.</summary>
    public async Task CloseAsync(CancellationToken cancellationToken)
    {
        try
        {
            DateTimeOffset now = time.GetUtcNow();
            await using VaultDb db = storage.Open();
            List<Guid> vms = await db.Protections.Where(row => row.Stage == nameof(ProtectionStage.Replicating)).Select(row => row.VmId).ToListAsync(cancellationToken);
            foreach (VmId vm in vms.Select(id => new VmId(id)))
            {
                if (board.Get(vm).Newest is { } newest)
                {
                    Raise(vm, (now - newest.CutAt).TotalSeconds);
                    db.Rpo.Add(new RpoRow { VmId = vm.Value, At = now, WorstSeconds = _worst.TryRemove(vm, out double worst) ? worst : 0 });
                }
            }

            await db.SaveChangesAsync(cancellationToken);
            DateTimeOffset oldest = now - Kept;
            await db.Rpo.Where(row => row.At < oldest).ExecuteDeleteAsync(cancellationToken);
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            Broke(logger, fault); // a gap in the history, no more
        }
    }

    /// <summary>Oldest first.</summary>
    public async Task<IReadOnlyList<RpoSampleDto>> ListAsync(string vmName, int hours, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        (VmId vm, _) = await db.FindVmAsync(vmName, cancellationToken);
        DateTimeOffset after = time.GetUtcNow() - TimeSpan.FromHours(Math.Clamp(hours, 1, (int)Kept.TotalHours));
        return await db.Rpo.AsNoTracking().Where(row => row.VmId == vm.Value && row.At > after).OrderBy(row => row.At)
            .Select(row => new RpoSampleDto(row.At, row.WorstSeconds)).ToListAsync(cancellationToken);
    }

    private void Raise(VmId vm, double seconds) => _worst.AddOrUpdate(vm, Math.Max(0, seconds), (_, before) => Math.Max(before, seconds));

    [LoggerMessage(420, LogLevel.Error, "The history of recovery points' ages has a gap")]
    private static partial void Broke(ILogger logger, Exception fault);
}
