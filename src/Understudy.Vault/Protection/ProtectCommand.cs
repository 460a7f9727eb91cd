using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Agents;
using Understudy.Vault.Jobs;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>Protecting a VM: all that can be refused is refused before the job, in the order a person would ask.</summary>
internal sealed class ProtectCommand(VaultStorage storage, AgentRegistry agents, ReportBoard board, JobStore jobs, JobRunner runner, IIdSource ids)
{
    public async Task<VmVerifyDto> VerifyAsync(string vmName, ProtectDto request, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Candidate candidate = await ExamineAsync(db, vmName, request, cancellationToken);
        return new VmVerifyDto(
            candidate.Vm.Name,
            candidate.Target.Name,
            Finding.Worst(candidate.Findings),
            [.. candidate.Findings.Select(finding => finding.Check).OrderByDescending(check => check.Level)]);
    }

    public async Task<JobId> RunAsync(string vmName, ProtectDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Candidate candidate = await ExamineAsync(db, vmName, request, cancellationToken);
        foreach (HostRow host in new[] { candidate.Source, candidate.Target })
        {
            if (agents.Find(new HostId(host.Id)) is null)
            {
                throw new ErrorException(Errors.HostOffline(host.Name));
            }
        }

        if (candidate.Findings.FirstOrDefault(finding => finding.Refusal is not null)?.Refusal is { } refusal)
        {
            throw new ErrorException(refusal);
        }

        ProtectedVm vm = new(
            candidate.Vm.Id,
            candidate.Vm.Name,
            new HostId(candidate.Source.Id),
            new HostId(candidate.Target.Id),
            new ReplicaId(ids.NewGuid()),
            null,
            candidate.Policy.Name,
            candidate.TargetName,
            candidate.Nics,
            ProtectionStage.Preparing,
            []);
        JobId job = await jobs.CreateAsync(
            new NewJob(vm.Vm, vm.Name, candidate.Go.Action, candidate.Go.Steps, new ProtectInput(vm.Replica), user),
            (along, _) =>
            {
                along.Protections.Add(ProtectionRows.ToRow(vm));
                return Task.CompletedTask;
            },
            cancellationToken);
        runner.Start(job);
        return job;
    }

    private async Task<Candidate> ExamineAsync(VaultDb db, string vmName, ProtectDto request, CancellationToken cancellationToken)
    {
        if (string.IsNullOrWhiteSpace(request.To))
        {
            throw new ErrorException(Errors.MissingValue("to"));
        }

        (VmId id, string name) = await db.FindVmAsync(vmName, cancellationToken);
        ProtectedVm? present = await db.FindProtectedAsync(id, cancellationToken);
        string? presentTarget = present is null ? null : await db.Hosts.Where(row => row.Id == present.TargetHost.Value).Select(row => row.Name).SingleAsync(cancellationToken);
        Decision.Go go = LifeCycle.Decide(ProtectionRows.Situation(present, board.Get(id), name, presentTarget), VmCommand.Protect) switch
        {
            Decision.Go decided => decided,
            Decision.Refuse refused => throw new ErrorException(refused.Error),
            _ => throw new InvalidOperationException("decision"),
        };
        HostRow target = await db.FindTargetAsync(request.To, cancellationToken);
        (HostRow source, DiscoveredVm vm) = await FindSourceAsync(db, id, name, target, cancellationToken);
        Policy policy = (await PolicyStore.FindAsync(db, request.Policy ?? PolicyRules.DefaultName, cancellationToken)).ToModel();
        string targetName = request.Name ?? VmNames.Propose(vm.Name);
        HostFacts? facts = HostStore.FactsOf(target);
        (IReadOnlyList<NicPlan> nics, ErrorInfo? nicError) = NicPlanner.Plan(
            vm.Nics,
            [.. (request.Nics ?? []).Select(nic => new NicChoice(nic.Mac, nic.Network, nic.TestNetwork, nic.NewMac))],
            await MappingStore.BetweenAsync(db, source.SiteId, target.SiteId, cancellationToken),
            policy.UseNetworkMap,
            await db.Sites.Where(row => row.Id == target.SiteId).Select(row => row.Name).SingleAsync(cancellationToken),
            target.Name,
            facts?.Networks ?? []);
        IReadOnlyList<Finding> findings = VmChecks.Evaluate(
            vm, source.Name, target.Name, facts?.Replicas, await NamesAtAsync(db, target, cancellationToken), targetName, nicError);
        return new Candidate(vm, source, target, policy, targetName, nics, findings, go);
    }

    private static async Task<(HostRow Host, DiscoveredVm Vm)> FindSourceAsync(VaultDb db, VmId id, string name, HostRow target, CancellationToken cancellationToken)
    {
        var found = await db.Vms.AsNoTracking().Where(row => row.VmId == id.Value)
            .Join(db.Hosts, vm => vm.HostId, host => host.Id, (vm, host) => new { vm.VmJson, Host = host })
            .ToListAsync(cancellationToken);
        var elsewhere = found.Where(vm => vm.Host.Id != target.Id).ToList();
        return elsewhere.Count switch
        {
            0 when found.Count > 0 => throw new ErrorException(Errors.SameHost(name, target.Name)),
            0 => throw new ErrorException(Errors.UnknownVm(name)),
            1 => (elsewhere[0].Host, VaultJson.Read(elsewhere[0].VmJson, VaultJson.Default.DiscoveredVm)!), // the column is never null
            _ => throw new ErrorException(Errors.AmbiguousVm(name, elsewhere.Select(vm => vm.Host.Name))),
        };
    }

    /// <summary>Names that are taken at the host, and those that replicas there will take.</summary>
    private static async Task<IReadOnlyCollection<string>> NamesAtAsync(VaultDb db, HostRow host, CancellationToken cancellationToken) =>
    [
        .. await db.Vms.Where(row => row.HostId == host.Id).Select(row => row.Name).ToListAsync(cancellationToken),
        .. await db.Protections.Where(row => row.TargetHost == host.Id).Select(row => row.TargetName).ToListAsync(cancellationToken),
    ];

    private sealed record Candidate(
        DiscoveredVm Vm,
        HostRow Source,
        HostRow Target,
        Policy Policy,
        string TargetName,
        IReadOnlyList<NicPlan> Nics,
        IReadOnlyList<Finding> Findings,
        Decision.Go Go);
}
