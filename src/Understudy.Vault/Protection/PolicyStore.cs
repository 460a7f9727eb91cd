using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>Policies; a change reaches the hosts at once, or when they come back.</summary>
internal sealed class PolicyStore(VaultStorage storage, HostDuties duties)
{
    public async Task EnsureBuiltInAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        if (!await db.Policies.AnyAsync(cancellationToken))
        {
            db.Policies.AddRange(PolicyRules.BuiltIn.Select(ToRow));
            await db.SaveChangesAsync(cancellationToken);
        }
    }

    public async Task<IReadOnlyList<PolicyDto>> ListAsync(CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        List<PolicyRow> rows = await db.Policies.AsNoTracking().ToListAsync(cancellationToken);
        Dictionary<string, int> uses = await db.Protections.GroupBy(row => row.Policy)
            .Select(group => new { group.Key, Count = group.Count() })
            .ToDictionaryAsync(group => group.Key, group => group.Count, cancellationToken);
        return
        [
            .. rows.Select(row => row.ToModel()).OrderBy(policy => policy.Frequency).ThenBy(policy => policy.Name, StringComparer.Ordinal)
                .Select(policy => PolicyText.ToDto(policy, uses.GetValueOrDefault(policy.Name))),
        ];
    }

    public async Task<PolicyDto> GetAsync(string name, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        PolicyRow row = await FindAsync(db, name, cancellationToken);
        return PolicyText.ToDto(row.ToModel(), await db.Protections.CountAsync(user => user.Policy == name, cancellationToken));
    }

    public async Task<PolicyDto> SetAsync(string name, PolicySetDto change, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        PolicyRow? row = await db.Policies.SingleOrDefaultAsync(candidate => candidate.Name == name, cancellationToken);
        Policy policy = PolicyText.Apply(row?.ToModel() ?? new Policy { Name = name }, change);
        if (PolicyRules.Check(policy) is { } error)
        {
            throw new ErrorException(error);
        }

        if (row is null)
        {
            db.Policies.Add(ToRow(policy));
        }
        else
        {
            row.PolicyJson = ToRow(policy).PolicyJson;
        }

        await db.SaveChangesAsync(cancellationToken);
        foreach (ProtectionRow user in await db.Protections.AsNoTracking().Where(user => user.Policy == name).ToListAsync(cancellationToken))
        {
            duties.Post(new HostId(user.SourceHost));
            duties.Post(new HostId(user.TargetHost));
        }

        return await GetAsync(name, cancellationToken);
    }

    public async Task RemoveAsync(string name, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        PolicyRow row = await FindAsync(db, name, cancellationToken);
        if (await db.Protections.Where(user => user.Policy == name).Select(user => user.Name).FirstOrDefaultAsync(cancellationToken) is { } vm)
        {
            throw new ErrorException(Errors.InUse("policy", name, vm));
        }

        db.Policies.Remove(row);
        await db.SaveChangesAsync(cancellationToken);
    }

    public static async Task<PolicyRow> FindAsync(VaultDb db, string name, CancellationToken cancellationToken) =>
        await db.Policies.SingleOrDefaultAsync(row => row.Name == name, cancellationToken)
        ?? throw new ErrorException(Errors.UnknownPolicy(name));

    private static PolicyRow ToRow(Policy policy) => new()
    {
        Name = policy.Name,
        PolicyJson = VaultJson.Write(PolicyText.ToChange(policy), VaultJson.Default.PolicySetDto),
    };
}
