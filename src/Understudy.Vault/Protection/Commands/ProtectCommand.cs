using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Jobs;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection.Commands;

/// <summary>Protecting a VM: all that can be refused is refused before the job, in the order a person would ask.</summary>
internal sealed class ProtectCommand(CommandDesk desk, IIdSource ids, TimeProvider time)
{
    public async Task<VmVerifyDto> VerifyAsync(string vmName, ProtectDto request, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Candidate candidate = await ExamineAsync(db, vmName, request, cancellationToken);
        return new VmVerifyDto(
            candidate.Vm.Name,
            candidate.Target.Name,
            Finding.Worst(candidate.Findings),
            [.. candidate.Findings.Select(finding => finding.Check).OrderByDescending(check => check.Level)]);
    }

    public async Task<JobId> RunAsync(string vmName, ProtectDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Candidate candidate = await ExamineAsync(db, vmName, request, cancellationToken);
        await desk.RequireOnlineAsync(db, new HostId(candidate.Source.Id), cancellationToken);
        await desk.RequireOnlineAsync(db, new HostId(candidate.Target.Id), cancellationToken);
        if (candidate.Findings.FirstOrDefault(finding => finding.Refusal is not null)?.Refusal is { } refusal)
        {
            throw new ErrorException(refusal);
        }

        ProtectedVm vm = new()
        {
            Vm = candidate.Vm.Id,
            Name = candidate.Vm.Name,
            SourceHost = new HostId(candidate.Source.Id),
            TargetHost = new HostId(candidate.Target.Id),
            Replica = new ReplicaId(ids.NewGuid()),
            Policy = candidate.Policy.Name,
            TargetName = candidate.TargetName,
            Nics = candidate.Nics,
            Cpus = request.Cpus is > 0 ? request.Cpus : null,
            MemoryBytes = request.MemoryBytes is > 0 ? request.MemoryBytes : null,
            Pool = candidate.Pool?.Name,
            ExcludedDisks = candidate.Excluded,
            Stage = ProtectionStage.Preparing,
        };
        ProtectInput input = new(vm.Replica, request.StartAt ?? StartOf(candidate.Policy));
        return await desk.StartAsync(
            new NewJob(vm.Vm, vm.Name, candidate.Go.Action, candidate.Go.Steps, input, user),
            (along, _) =>
            {
                along.Protections.Add(ProtectionRows.ToRow(vm));
                return Task.CompletedTask;
            },
            cancellationToken);
    }

    /// <summary>The policy's time of the day when it comes next; null is at once.</summary>
    private DateTimeOffset? StartOf(Policy policy)
    {
        if (policy.StartTime is not { } at)
        {
            return null;
        }

        DateTimeOffset now = time.GetUtcNow();
        DateTimeOffset today = new(DateOnly.FromDateTime(now.UtcDateTime), at, TimeSpan.Zero);
        return today > now ? today : today.AddDays(1);
    }

    private async Task<Candidate> ExamineAsync(VaultDb db, string vmName, ProtectDto request, CancellationToken cancellationToken)
    {
        if (string.IsNullOrWhiteSpace(request.To))
        {
            throw new ErrorException(Errors.MissingValue("to"));
        }

        (VmId id, string name) = await db.FindVmAsync(vmName, cancellationToken);
        ProtectedVm? present = await db.FindProtectedAsync(id, cancellationToken);
        Decision.Go go = LifeCycle.Decide(await desk.SituationAsync(db, present, id, name, cancellationToken), VmCommand.Protect) switch
        {
            Decision.Go decided => decided,
            Decision.Refuse refused => throw new ErrorException(refused.Error),
            _ => throw new InvalidOperationException("decision"),
        };
        HostRow target = await db.FindTargetAsync(request.To, cancellationToken);
        (HostRow source, DiscoveredVm vm) = await FindSourceAsync(db, id, name, target, cancellationToken);
        AtTarget.RequireHardware(request.Cpus, request.MemoryBytes, target, vm.MachineType);
        IReadOnlyList<string> excluded = [.. (request.ExcludedDisks ?? []).Distinct().Order(StringComparer.Ordinal)];
        if (VmChecks.Excluded(vm, excluded) is { } error)
        {
            throw new ErrorException(error);
        }

        Policy policy = (await PolicyStore.FindAsync(db, request.Policy ?? PolicyRules.DefaultName, cancellationToken)).ToModel();
        HashSet<string> taken = await AtTarget.NamesAsync(db, target.Id, but: null, cancellationToken);
        string targetName = request.Name ?? Propose(vm.Name, taken);
        HostFacts? facts = HostStore.FactsOf(target);
        (IReadOnlyList<NicPlan> nics, ErrorInfo? nicError) = NicPlanner.Plan(
            vm.Nics,
            AtTarget.Choices(request.Nics),
            await MappingStore.BetweenAsync(db, source.SiteId, target.SiteId, cancellationToken),
            policy.UseNetworkMap,
            await db.Sites.Where(row => row.Id == target.SiteId).Select(row => row.Name).SingleAsync(cancellationToken),
            target.Name,
            facts?.Networks ?? []);
        (HostPool? pool, ErrorInfo? poolError) = PoolPlanner.Plan(
            request.Pool, vm, HostStore.FactsOf(source), await StorageMapStore.BetweenAsync(db, source.SiteId, target.SiteId, cancellationToken), target.Name, facts);
        IReadOnlyList<Finding> findings = VmChecks.Evaluate(
            vm, source.Name, target.Name, facts, taken, targetName, nicError, excluded, pool, poolError);
        return new Candidate(vm, source, target, policy, targetName, nics, pool, excluded, findings, go);
    }

    private static async Task<(HostRow Host, DiscoveredVm Vm)> FindSourceAsync(VaultDb db, VmId id, string name, HostRow target, CancellationToken cancellationToken)
    {
        var found = await db.Vms.AsNoTracking().Where(row => row.VmId == id.Value)
            .Join(db.Hosts, vm => vm.HostId, host => host.Id, (vm, host) => new { vm.VmJson, Host = host })
            .ToListAsync(cancellationToken);
        List<Guid> old = await db.Retired.Where(row => row.VmId == id.Value).Select(row => row.SourceHost).ToListAsync(cancellationToken);
        if (old.Contains(target.Id))
        {
            throw new ErrorException(Errors.OldDisksThere(name, target.Name));
        }

        var elsewhere = found.Where(vm => vm.Host.Id != target.Id && !old.Contains(vm.Host.Id)).ToList();
        return elsewhere.Count switch
        {
            0 when found.Count > 0 => throw new ErrorException(Errors.SameHost(name, target.Name)),
            0 => throw new ErrorException(Errors.UnknownVm(name)),
            1 => (elsewhere[0].Host, VaultJson.Read(elsewhere[0].VmJson, VaultJson.Default.DiscoveredVm)!), // the column is never null
            _ => throw new ErrorException(Errors.AmbiguousVm(name, elsewhere.Select(vm => vm.Host.Name))),
        };
    }

    /// <summary>A name that has to be another anyway is a free one; one that is good but taken is a person's to decide.</summary>
    private static string Propose(string name, HashSet<string> taken) => VmNames.IsLawful(name) ? name : VmNames.NextFree(VmNames.Propose(name), taken);

    private sealed record Candidate(
        DiscoveredVm Vm,
        HostRow Source,
        HostRow Target,
        Policy Policy,
        string TargetName,
        IReadOnlyList<NicPlan> Nics,
        HostPool? Pool,
        IReadOnlyList<string> Excluded,
        IReadOnlyList<Finding> Findings,
        Decision.Go Go);
}
