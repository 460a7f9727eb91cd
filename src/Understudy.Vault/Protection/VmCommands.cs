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

/// <summary>Commands on a protected VM. Each is decided by <see cref="LifeCycle"/> and becomes a job.</summary>
internal sealed class VmCommands(VaultStorage storage, AgentRegistry agents, ReportBoard board, JobStore jobs, JobRunner runner, PointFinder points, IIdSource ids, TimeProvider time)
{
    private const string Isolated = "isolated";
    private const string Mapped = "mapped";

    public async Task<JobId> TestAsync(string vmName, TestVmDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Subject subject = await DecideAsync(db, vmName, VmCommand.Test, cancellationToken);
        RecoveryPointInfo point = await points.FindAsync(subject.Vm, request.Point, cancellationToken);
        (bool isolated, IReadOnlyList<NicPlan> nics) = await TestNicsAsync(db, subject.Vm, request.Network ?? Isolated, cancellationToken);
        string testName = await FreeTestNameAsync(db, subject.Vm, cancellationToken);
        return await StartAsync(subject, new TestInput(subject.Vm.Replica, new TestId(ids.NewGuid()), point.Id, testName, isolated, nics), user, cancellationToken);
    }

    public async Task<FailoverPreviewDto> PreviewFailoverAsync(string vmName, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Subject subject = await DecideAsync(db, vmName, VmCommand.UnplannedFailover, cancellationToken);
        SourceKnowledge knowledge = await SourceWatch.KnowAsync(db, agents, subject.Vm, cancellationToken);
        string source = await HostNameAsync(db, subject.Vm.SourceHost, cancellationToken);
        string target = await HostNameAsync(db, subject.Vm.TargetHost, cancellationToken);
        RecoveryPointInfo? latest = board.Get(subject.Vm.Vm).Newest;
        return new FailoverPreviewDto(
            subject.Vm.Name,
            knowledge,
            target,
            latest is null ? null : VmView.ToDto(latest),
            latest is null ? null : VmView.Age(latest, time.GetUtcNow()),
            Confirmation.Failover,
            [
                SourceWatch.Say(knowledge, subject.Vm.Name, source),
                "What was written after the chosen point is not in it.",
            ]);
    }

    public async Task<JobId> FailoverAsync(string vmName, FailoverDto request, string user, CancellationToken cancellationToken)
    {
        if (!request.Unplanned)
        {
            throw new ErrorException(Errors.BadValue("unplanned", "false", "this version offers the unplanned failover only"));
        }

        await using VaultDb db = storage.Open();
        Subject subject = await DecideAsync(db, vmName, VmCommand.UnplannedFailover, cancellationToken);
        if (request.Confirm != Confirmation.Failover)
        {
            throw new ErrorException(Errors.WrongConfirmation(Confirmation.Failover, request.Confirm));
        }

        RecoveryPointInfo point = await points.FindAsync(subject.Vm, request.Point, cancellationToken);
        return await StartAsync(subject, new FailoverInput(subject.Vm.Replica, point.Id), user, cancellationToken);
    }

    public async Task<JobId> CommitAsync(string vmName, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Subject subject = await DecideAsync(db, vmName, VmCommand.Commit, cancellationToken);
        await RequireOnlineAsync(db, subject.Vm.TargetHost, cancellationToken);
        return await StartAsync(subject, new CommitInput(subject.Vm.Replica), user, cancellationToken);
    }

    public async Task<JobId> UnprotectAsync(string vmName, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        Subject subject = await DecideAsync(db, vmName, VmCommand.Unprotect, cancellationToken);
        return await StartAsync(subject, new UnprotectInput(subject.Vm.Replica), user, cancellationToken);
    }

    public async Task<JobId> ExportAsync(string vmName, string pointName, ExportDto request, string user, CancellationToken cancellationToken)
    {
        string format = request.Format ?? "raw";
        if (format is not ("raw" or "qcow2"))
        {
            throw new ErrorException(Errors.BadValue("format", format, "points are written as raw or qcow2"));
        }

        if (string.IsNullOrWhiteSpace(request.Folder) || !request.Folder.StartsWith('/'))
        {
            throw new ErrorException(Errors.BadValue("folder", request.Folder ?? "", "it is a full path on the target host"));
        }

        await using VaultDb db = storage.Open();
        Subject subject = await DecideAsync(db, vmName, VmCommand.Export, cancellationToken);
        RecoveryPointInfo point = await points.FindAsync(subject.Vm, pointName, cancellationToken);
        return await StartAsync(subject, new ExportInput(subject.Vm.Replica, point.Id, request.Folder, format), user, cancellationToken);
    }

    public async Task<IReadOnlyList<PointDto>> ListPointsAsync(string vmName, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        (VmId id, string name) = await db.FindVmAsync(vmName, cancellationToken);
        ProtectedVm vm = await db.FindProtectedAsync(id, cancellationToken) ?? throw new ErrorException(Errors.NotProtected(name));
        return [.. (await points.ListAsync(vm, cancellationToken)).Select(VmView.ToDto)];
    }

    private async Task<JobId> StartAsync(Subject subject, JobInput input, string user, CancellationToken cancellationToken)
    {
        JobId job = await jobs.CreateAsync(new NewJob(subject.Vm.Vm, subject.Vm.Name, subject.Go.Action, subject.Go.Steps, input, user), null, cancellationToken);
        runner.Start(job);
        return job;
    }

    private async Task<Subject> DecideAsync(VaultDb db, string vmName, VmCommand command, CancellationToken cancellationToken)
    {
        (VmId id, string name) = await db.FindVmAsync(vmName, cancellationToken);
        ProtectedVm? vm = await db.FindProtectedAsync(id, cancellationToken);
        string? target = vm is null ? null : await HostNameAsync(db, vm.TargetHost, cancellationToken);
        return LifeCycle.Decide(ProtectionRows.Situation(vm, board.Get(id), name, target), command) switch
        {
            Decision.Go go when vm is not null => new Subject(vm, go),
            Decision.Refuse refuse => throw new ErrorException(refuse.Error),
            _ => throw new ErrorException(Errors.NotProtected(name)),
        };
    }

    private async Task RequireOnlineAsync(VaultDb db, HostId host, CancellationToken cancellationToken)
    {
        if (agents.Find(host) is null)
        {
            throw new ErrorException(Errors.HostOffline(await HostNameAsync(db, host, cancellationToken)));
        }
    }

    private static async Task<(bool Isolated, IReadOnlyList<NicPlan> Nics)> TestNicsAsync(VaultDb db, ProtectedVm vm, string network, CancellationToken cancellationToken)
    {
        switch (network)
        {
            case Isolated:
                return (true, vm.Nics);
            case Mapped:
                return (false, vm.Nics);
            case NicPlanner.None:
                return (false, [.. vm.Nics.Select(nic => nic with { TestNetwork = null })]);
            default:
                HostRow target = await db.Hosts.SingleAsync(row => row.Id == vm.TargetHost.Value, cancellationToken);
                return HostStore.FactsOf(target)?.Networks.Any(candidate => candidate.Name == network) == true
                    ? (false, [.. vm.Nics.Select(nic => nic with { TestNetwork = network })])
                    : throw new ErrorException(Errors.UnknownNetwork(target.Name, network));
        }
    }

    private static async Task<string> FreeTestNameAsync(VaultDb db, ProtectedVm vm, CancellationToken cancellationToken)
    {
        HashSet<string> taken = [
            .. await db.Vms.Where(row => row.HostId == vm.TargetHost.Value).Select(row => row.Name).ToListAsync(cancellationToken),
            .. await db.Tests.Select(row => row.VmName).ToListAsync(cancellationToken),
        ];
        int number = 1;
        while (taken.Contains(VmNames.ForTest(vm.TargetName, number)))
        {
            number++;
        }

        return VmNames.ForTest(vm.TargetName, number);
    }

    private static Task<string> HostNameAsync(VaultDb db, HostId host, CancellationToken cancellationToken) =>
        db.Hosts.Where(row => row.Id == host.Value).Select(row => row.Name).SingleAsync(cancellationToken);

    private sealed record Subject(ProtectedVm Vm, Decision.Go Go);
}
