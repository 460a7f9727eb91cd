using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>Ends maintenances whose time is over, or whose host has booted. Read from the database each time.</summary>
internal sealed partial class MaintenanceClock(VaultStorage storage, HostMaintenance maintenance, TimeProvider time, ILogger<MaintenanceClock> logger)
{
    private static readonly TimeSpan _interval = TimeSpan.FromSeconds(2);

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
            await using VaultDb db = storage.Open();
            foreach (Guid host in await db.Hosts.Where(row => row.MaintenanceJson != null).Select(row => row.Id).ToListAsync(stopping))
            {
                await maintenance.LookAsync(host, "maintenance", stopping);
            }
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            Broke(logger, fault); // the database, most likely; the next look finds the same
        }
    }

    [LoggerMessage(410, LogLevel.Error, "The maintenances could not be looked at; they are looked at again")]
    private static partial void Broke(ILogger logger, Exception fault);
}
