using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Events;

/// <summary>What happened, oldest first, for people and for programs that watch.</summary>
internal sealed class EventJournal(VaultStorage storage, Changes changes, TimeProvider time)
{
    public const int MaxPage = 1000;

    /// <summary>Years of a quiet vault, days of a very busy one; older ones are dropped a thousand at a time.</summary>
    public const int Kept = 100_000;

    private const int DropEvery = 1000;

    public Task AddAsync(HealthLevel severity, string kind, Guid? vm, Guid? host, string text, CancellationToken cancellationToken) =>
        AddAsync(time.GetUtcNow(), severity, kind, vm, host, text, cancellationToken);

    public async Task AddAsync(
        DateTimeOffset at, HealthLevel severity, string kind, Guid? vm, Guid? host, string text, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Add(db, at, severity, kind, vm, host, text);
        await db.SaveChangesAsync(cancellationToken);
        await AddedAsync(db, cancellationToken);
    }

    /// <summary>For what is true together with other changes: it is saved with them, and <see cref="AddedAsync"/> follows.</summary>
    public void Add(VaultDb db, HealthLevel severity, string kind, Guid? vm, Guid? host, string text) =>
        Add(db, time.GetUtcNow(), severity, kind, vm, host, text);

    /// <summary>Tells the watchers what was saved, and makes room.</summary>
    public async Task AddedAsync(VaultDb db, CancellationToken cancellationToken)
    {
        long[] added = [.. db.ChangeTracker.Entries<EventRow>().Select(entry => entry.Entity.Id)];
        if (added.Length == 0)
        {
            return;
        }

        changes.Publish(Changes.Events);
        if (added.Any(id => id % DropEvery == 0))
        {
            long newest = added.Max();
            await db.Events.Where(old => old.Id <= newest - Kept).ExecuteDeleteAsync(cancellationToken);
        }
    }

    private static void Add(VaultDb db, DateTimeOffset at, HealthLevel severity, string kind, Guid? vm, Guid? host, string text) =>
        db.Events.Add(new EventRow { At = at, Severity = severity.Word(), Kind = kind, VmId = vm, HostId = host, Text = text });

    /// <param name="after">The first ones after this; the newest ones when null.</param>
    /// <returns>Oldest first.</returns>
    public async Task<IReadOnlyList<EventDto>> ListAsync(long? after, int limit, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        IQueryable<EventRow> wanted = after is { } number
            ? db.Events.AsNoTracking().Where(row => row.Id > number).OrderBy(row => row.Id)
            : db.Events.AsNoTracking().OrderByDescending(row => row.Id);
        List<EventRow> rows = await wanted.Take(Math.Clamp(limit, 1, MaxPage)).ToListAsync(cancellationToken);
        rows.Sort((one, other) => one.Id.CompareTo(other.Id));
        Dictionary<Guid, string> hosts = await db.Hosts.ToDictionaryAsync(row => row.Id, row => row.Name, cancellationToken);
        Guid[] vmIds = [.. rows.Where(row => row.VmId is not null).Select(row => row.VmId!.Value).Distinct()]; // filtered a line above
        Dictionary<Guid, string> vms = (await db.Vms.Where(row => vmIds.Contains(row.VmId)).Select(row => new { row.VmId, row.Name }).ToListAsync(cancellationToken))
            .DistinctBy(row => row.VmId)
            .ToDictionary(row => row.VmId, row => row.Name);
        return [.. rows.Select(row => new EventDto(
            row.Id,
            row.At,
            EnumWords<HealthLevel>.TryParse(row.Severity, out HealthLevel severity) ? severity : HealthLevel.Normal,
            row.Kind,
            row.VmId is { } vm ? vms.GetValueOrDefault(vm, vm.ToString()) : null,
            row.HostId is { } host ? hosts.GetValueOrDefault(host, host.ToString()) : null,
            row.Text))];
    }
}
