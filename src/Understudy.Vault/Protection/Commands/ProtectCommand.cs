using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
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
internal sealed class ProtectCommand(CommandDesk desk, HostStore hosts, HostAsker asker, FitAsker fit, Changes changes, IIdSource ids, TimeProvider time)
{
    public async Task<VmVerifyDto> VerifyAsync(string vmName, ProtectDto request, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        (VmId id, string name) = await db.FindVmAsync(vmName, cancellationToken);
        if (await db.FindProtectedAsync(id, cancellationToken) is { } vm)
        {
            return await VerifyProtectedAsync(db, vm, request.To, cancellationToken);
        }

        Candidate candidate = await ExamineAsync(db, vmName, request, anew: true, cancellationToken);
        return ToDto(name, candidate.Target, [.. candidate.Findings, .. await SeedFindingsAsync(candidate, request, cancellationToken)]);
    }

    /// <summary>Both hosts, and whether it would start at its target now; its settings are what they are.</summary>
    private async Task<VmVerifyDto> VerifyProtectedAsync(VaultDb db, ProtectedVm vm, string? to, CancellationToken cancellationToken)
    {
        HostRow source = await db.Hosts.AsNoTracking().SingleAsync(row => row.Id == vm.SourceHost.Value, cancellationToken);
        HostRow target = await asker.LookAsync(await db.Hosts.AsNoTracking().SingleAsync(row => row.Id == vm.TargetHost.Value, cancellationToken), cancellationToken);
        if (!string.IsNullOrWhiteSpace(to) && (await db.FindTargetAsync(to, cancellationToken)).Id != target.Id)
        {
            throw new ErrorException(Errors.AlreadyProtected(vm.Name, target.Name));
        }

        List<Finding> findings = [];
        foreach (HostRow host in new[] { source, target })
        {
            findings.AddRange((await hosts.CheckAsync(host, cancellationToken)).Select(finding => finding with { Check = finding.Check with { Name = $"{host.Name}: {finding.Check.Name}" } }));
        }

        string? json = await db.Vms.Where(row => row.HostId == source.Id && row.VmId == vm.Vm.Value).Select(row => row.VmJson).SingleOrDefaultAsync(cancellationToken);
        if (VaultJson.Read(json, VaultJson.Default.DiscoveredVm) is { } discovered)
        {
            IReadOnlyList<Finding> answers = await fit.CheckAsync(discovered, source, target, cancellationToken);
            findings.AddRange(VmChecks.EvaluateProtected(discovered, vm, source.Name, target.Name, HostStore.FactsOf(target), answers, await NeighboursAsync(db, source, cancellationToken)));
        }

        return ToDto(vm.Name, target, findings);
    }

    private static VmVerifyDto ToDto(string vm, HostRow target, IReadOnlyList<Finding> findings) =>
        new(vm, target.Name, Finding.Worst(findings), [.. findings.Select(finding => finding.Check).OrderByDescending(check => check.Level)]);

    public static IReadOnlyList<DiscoveredDisk> DisksThatTakePart(DiscoveredVm vm, IReadOnlyList<string> excluded) =>
        [.. vm.Disks.Where(disk => disk is { Device: "disk", ReadOnly: false } && !excluded.Contains(disk.TargetDevice))];

    public async Task<JobId> RunAsync(string vmName, ProtectDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Candidate candidate = await RequireSuitableAsync(db, vmName, request, cancellationToken);
        await CheckSeedsAsync(candidate, request, cancellationToken);
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
        ProtectInput input = new(vm.Replica, request.StartAt ?? StartOf(candidate.Policy), SeedsOf(request));
        JobId job = await desk.StartAsync(
            new NewJob(vm.Vm, vm.Name, candidate.Go.Action, candidate.Go.Steps, input, user),
            (along, _) =>
            {
                desk.Board.Forget(vm.Vm); // an earlier protection's last report may have come while that ended
                along.Protections.Add(ProtectionRows.ToRow(vm));
                return Task.CompletedTask;
            },
            cancellationToken);
        changes.Publish(Changes.Protections);
        return job;
    }

    /// <exception cref="ErrorException">What protecting it would be refused for.</exception>
    public async Task ForeseeAsync(string vmName, ProtectDto request, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        await RequireSuitableAsync(db, vmName, request, cancellationToken);
    }

    private async Task<Candidate> RequireSuitableAsync(VaultDb db, string vmName, ProtectDto request, CancellationToken cancellationToken)
    {
        Candidate candidate = await ExamineAsync(db, vmName, request, anew: false, cancellationToken);
        await desk.RequireOnlineAsync(db, new HostId(candidate.Source.Id), cancellationToken);
        await desk.RequireOnlineAsync(db, new HostId(candidate.Target.Id), cancellationToken);
        if (candidate.Refusal is not null || candidate.Pool is not null)
        {
            // Nobody is refused by an old picture. And a pool that was stopped since is not found out by a job that fails.
            candidate = await ExamineAsync(db, vmName, request, anew: true, cancellationToken);
        }

        return candidate.Refusal is { } refusal ? throw new ErrorException(refusal) : candidate;
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

    private static IReadOnlyList<DiskSeed>? SeedsOf(ProtectDto request) => request.Seeds is { Count: > 0 } seeds
        ? [.. seeds.Select(seed => new DiskSeed(seed.Disk, seed.Path, seed.Images))]
        : null;

    private async Task<IEnumerable<Finding>> SeedFindingsAsync(Candidate candidate, ProtectDto request, CancellationToken cancellationToken)
    {
        try
        {
            return (await CheckSeedsAsync(candidate, request, cancellationToken)).Select(found => Finding.Pass("seed", found));
        }
        catch (ErrorException refused)
        {
            return [Finding.Fail("seed", refused.Error)];
        }
    }

    /// <summary>The target looks at them now: what is wrong with a seed is said before there is a job.</summary>
    private async Task<IReadOnlyList<string>> CheckSeedsAsync(Candidate candidate, ProtectDto request, CancellationToken cancellationToken)
    {
        if (SeedsOf(request) is not { } seeds)
        {
            return [];
        }

        IReadOnlyList<DiscoveredDisk> disks = DisksThatTakePart(candidate.Vm, candidate.Excluded);
        foreach (DiskSeed seed in seeds)
        {
            if (seed.TargetDevice is { } device && disks.All(disk => disk.TargetDevice != device))
            {
                throw new ErrorException(Errors.SeedDiskUnknown(device, candidate.Vm.Name));
            }

            if ((seed.ImageFolder ?? seed.Path) is var folder && (!seed.Path.StartsWith('/') || !folder.StartsWith('/')))
            {
                throw new ErrorException(Errors.BadValue("seed", seed.Path.StartsWith('/') ? folder : seed.Path, "it is a full path on the target host"));
            }
        }

        SeedCheckAnswer answer = await desk.AskAsync(
            new HostId(candidate.Target.Id), candidate.Target.Name, AgentMethods.SeedCheck, new SeedCheckRequest(disks, seeds), cancellationToken);
        return answer.Found;
    }

    /// <param name="anew">The target says what it has now; else what it told last is enough.</param>
    private async Task<Candidate> ExamineAsync(VaultDb db, string vmName, ProtectDto request, bool anew, CancellationToken cancellationToken)
    {
        if (string.IsNullOrWhiteSpace(request.To))
        {
            throw new ErrorException(Errors.MissingValue("to"));
        }

        if (request.StartAt is { } start && (start.Minute % PolicyRules.StartTimeStepMinutes != 0 || start.TimeOfDay.Ticks % TimeSpan.TicksPerMinute != 0))
        {
            throw new ErrorException(Errors.BadValue("start-at", start.ToString("yyyy-MM-ddTHH:mm:sszzz", CultureInfo.InvariantCulture), "a first copy begins on the hour or half past it, as a policy's start time"));
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
        target = anew ? await asker.LookAsync(target, cancellationToken) : target;
        await SiteLinks.RequireListenerAsync(db, name, source, target, cancellationToken);
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
            await db.Sites.Where(row => row.Id == source.SiteId).Select(row => row.Name).SingleAsync(cancellationToken),
            await db.Sites.Where(row => row.Id == target.SiteId).Select(row => row.Name).SingleAsync(cancellationToken),
            target.Name,
            facts?.Networks ?? []);
        (HostPool? pool, ErrorInfo? poolError) = PoolPlanner.Plan(
            request.Pool, vm, HostStore.FactsOf(source), await StorageMapStore.BetweenAsync(db, source.SiteId, target.SiteId, cancellationToken), target.Name, facts);
        IReadOnlyList<Finding> findings = VmChecks.Evaluate(
            vm, source.Name, target.Name, facts, taken, targetName, nicError, excluded,
            await fit.CheckAsync(vm, source, target, cancellationToken), pool, poolError, await NeighboursAsync(db, source, cancellationToken));
        return new Candidate(vm, source, target, policy, targetName, nics, pool, excluded, findings, go);
    }

    private static async Task<IReadOnlyList<DiscoveredVm>> NeighboursAsync(VaultDb db, HostRow host, CancellationToken cancellationToken) =>
        [.. (await db.Vms.AsNoTracking().Where(row => row.HostId == host.Id).Select(row => row.VmJson).ToListAsync(cancellationToken))
            .Select(json => VaultJson.Read(json, VaultJson.Default.DiscoveredVm)!)]; // the column is never null

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
        Decision.Go Go)
    {
        public ErrorInfo? Refusal => Findings.FirstOrDefault(finding => finding.Refusal is not null)?.Refusal;
    }
}
