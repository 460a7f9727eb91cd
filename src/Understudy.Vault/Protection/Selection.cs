using Microsoft.EntityFrameworkCore;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>VMs chosen by rule (REG-5): those a rule means that also have every tag that was named.</summary>
internal sealed class Selection
{
    private readonly VmRule _rule;
    private readonly IReadOnlyList<VmRule> _tags;

    private Selection(VmRule rule, IReadOnlyList<VmRule> tags) => (_rule, _tags) = (rule, tags);

    public string Text => string.Join(" ", [_rule.Text, .. _tags.Select(tag => $"with {tag.Text}")]);

    /// <param name="vms">A rule; all VMs when it is left out.</param>
    /// <exception cref="ErrorException">Neither says anything, or one cannot be read.</exception>
    public static Selection Of(string? vms, IReadOnlyList<string>? tags)
    {
        if (string.IsNullOrWhiteSpace(vms) && tags is not { Count: > 0 })
        {
            throw new ErrorException(Errors.MissingValue("a VM, a rule or a tag"));
        }

        return new Selection(
            string.IsNullOrWhiteSpace(vms) ? VmRule.All : VmRule.Parse("VMs", vms),
            [.. (tags ?? []).Select(tag => VmRule.Parse("tag", VmRule.TagPrefix + tag))]);
    }

    public bool Means(string name, IReadOnlyList<string>? tags) => _rule.Matches(name, tags) && _tags.All(tag => tag.Matches(name, tags));

    /// <summary>A protected VM goes by its name at the source, and has the tags it has there.</summary>
    public async Task<IReadOnlyList<Chosen>> ProtectedAsync(VaultDb db, CancellationToken cancellationToken)
    {
        var rows = await db.Protections.AsNoTracking()
            .Select(row => new
            {
                row.VmId,
                row.Name,
                VmJson = db.Vms.Where(vm => vm.VmId == row.VmId && vm.HostId == row.SourceHost).Select(vm => vm.VmJson).FirstOrDefault(),
                Host = db.Hosts.Where(host => host.Id == row.SourceHost).Select(host => host.Name).First(),
            })
            .ToListAsync(cancellationToken);
        return Sorted(rows.Where(row => Means(row.Name, TagsOf(row.VmJson))).Select(row => new Chosen(new VmId(row.VmId), row.Name, row.Host)));
    }

    /// <summary>What could be meant to go to that host: not what is there already, and no test.</summary>
    public async Task<IReadOnlyList<Chosen>> ElsewhereAsync(VaultDb db, HostRow target, CancellationToken cancellationToken)
    {
        var rows = await db.Vms.AsNoTracking().Where(row => row.HostId != target.Id)
            .Join(db.Hosts, vm => vm.HostId, host => host.Id, (vm, host) => new { vm.VmId, vm.Name, vm.VmJson, Host = host.Name })
            .ToListAsync(cancellationToken);
        HashSet<string> tests = [.. await db.Tests.Select(row => row.VmName).ToListAsync(cancellationToken)];
        Dictionary<Guid, string> names = await db.Protections.ToDictionaryAsync(row => row.VmId, row => row.Name, cancellationToken);
        return Sorted(rows
            .Select(row => new { row.VmId, Name = names.GetValueOrDefault(row.VmId, row.Name), row.VmJson, row.Host })
            .Where(row => !tests.Contains(row.Name) && Means(row.Name, TagsOf(row.VmJson)))
            .DistinctBy(row => row.VmId)
            .Select(row => new Chosen(new VmId(row.VmId), row.Name, row.Host)));
    }

    private static IReadOnlyList<string>? TagsOf(string? vmJson) => VaultJson.Read(vmJson, VaultJson.Default.DiscoveredVm)?.Tags;

    private static IReadOnlyList<Chosen> Sorted(IEnumerable<Chosen> chosen) => [.. chosen.OrderBy(vm => vm.Name, StringComparer.Ordinal)];
}

/// <param name="Host">Where it was seen, at its source when it is protected.</param>
internal sealed record Chosen(VmId Vm, string Name, string Host);
