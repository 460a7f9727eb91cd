using Understudy.Vault.Agents;
using Understudy.Vault.Backup;
using Understudy.Vault.Protection;
using Understudy.Vault.Sites;

namespace Understudy.Vault;

/// <summary>What the vault does without being asked. Each loop ends with the token, and fails in no way that ends another.</summary>
internal sealed class VaultLoops(HostDuties duties, Reunions reunions, PolicyClock clock, MaintenanceClock maintenance, RpoHistory history, CopyLoop copies, LinkKeeper links)
{
    public Task RunAsync(CancellationToken stopping) => Task.WhenAll(
        duties.RunAsync(stopping),
        reunions.RunAsync(stopping),
        clock.RunAsync(stopping),
        maintenance.RunAsync(stopping),
        history.RunAsync(stopping),
        copies.RunAsync(stopping),
        links.RunAsync(stopping));
}
