using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Jobs;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection.Commands;

/// <summary>Points and branches: listed, given out, taken back, and branches deleted by name.</summary>
internal sealed class PointCommands(CommandDesk desk, PointFinder points, BranchFinder branches, IIdSource ids)
{
    public async Task<IReadOnlyList<PointDto>> ListAsync(string vmName, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        (VmId id, string name) = await db.FindVmAsync(vmName, cancellationToken);
        if (await db.FindProtectedAsync(id, cancellationToken) is not { } vm)
        {
            return await db.Retired.AnyAsync(row => row.VmId == id.Value, cancellationToken)
                ? [] // The protection has ended; the old disks of its source are still listed, as a branch.
                : throw new ErrorException(Errors.NotProtected(name));
        }

        PointsAnswer all = await points.ListAsync(vm, cancellationToken);
        return [.. all.Points.Select(point => VmView.ToDto(point, MarksOf(vm, point, all, desk.Board.Get(vm.Vm))))];
    }

    public async Task<PointDto> GetAsync(string vmName, string pointName, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        ProtectedVm vm = await FindAsync(db, vmName, cancellationToken);
        PointsAnswer all = await points.ListAsync(vm, cancellationToken);
        RecoveryPointInfo point = PointChoice.Find(all.Points, pointName) ?? throw new ErrorException(Errors.UnknownPoint(vm.Name, pointName));
        return VmView.ToDto(point, MarksOf(vm, point, all, desk.Board.Get(vm.Vm)));
    }

    public async Task<IReadOnlyList<BranchDto>> ListBranchesAsync(string vmName, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        (VmId id, _) = await db.FindVmAsync(vmName, cancellationToken);
        return [.. (await branches.ListAsync(db, id, cancellationToken)).Select(kept => BranchNames.ToDto(kept.Branch, kept.HostName))];
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

        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Export, cancellationToken);
        Picked picked = await PickAsync(db, subject.Vm, pointName, cancellationToken);
        return await desk.StartAsync(subject, new ExportInput(subject.Vm.Replica, picked.Point, request.Folder, format, picked.Branch?.Id), user, cancellationToken);
    }

    public async Task<JobId> MountAsync(string vmName, string pointName, MountDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Mount, cancellationToken);
        Picked picked = await PickAsync(db, subject.Vm, pointName, cancellationToken);
        MountInput input = new(subject.Vm.Replica, new MountId(ids.NewGuid()), picked.Point, picked.Branch?.Id, null, request.Writable);
        return await desk.StartAsync(subject, input, user, cancellationToken);
    }

    public async Task<JobId> AttachAsync(string vmName, string pointName, AttachDto request, string user, CancellationToken cancellationToken)
    {
        if (string.IsNullOrWhiteSpace(request.ToVm))
        {
            throw new ErrorException(Errors.MissingValue("toVm"));
        }

        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Attach, cancellationToken);
        Guid id = Guid.TryParse(request.ToVm, out Guid parsed) ? parsed : Guid.Empty;
        string receiver = await db.Vms.Where(row => row.HostId == subject.Vm.TargetHost.Value && (row.Name == request.ToVm || row.VmId == id))
            .Select(row => row.Name).FirstOrDefaultAsync(cancellationToken) ?? throw new ErrorException(Errors.UnknownVm(request.ToVm));
        Picked picked = await PickAsync(db, subject.Vm, pointName, cancellationToken);
        MountInput input = new(subject.Vm.Replica, new MountId(ids.NewGuid()), picked.Point, picked.Branch?.Id, receiver, request.Writable);
        return await desk.StartAsync(subject, input, user, cancellationToken);
    }

    /// <summary>Unmounts or detaches: which of the two, the mount itself says.</summary>
    public async Task<JobId> TakeBackAsync(string vmName, string mountName, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        ProtectedVm vm = await FindAsync(db, vmName, cancellationToken);
        MountInfo mount = desk.Board.Get(vm.Vm).Target?.Mounts?.FirstOrDefault(candidate => BranchNames.IsNamed(candidate, mountName))
            ?? throw new ErrorException(Errors.MountUnknown(vm.Name, mountName));
        Subject subject = await desk.DecideAsync(db, vmName, mount.ToVm is null ? VmCommand.Unmount : VmCommand.Detach, cancellationToken);
        return await desk.StartAsync(subject, new UnmountInput(subject.Vm.Replica, mount.Id), user, cancellationToken);
    }

    /// <summary>By name, twice: the old disks of a source may be the only copy of what was written there last (SEC-7).</summary>
    public async Task<JobId> DeleteBranchAsync(string vmName, string branchName, DeleteBranchDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        (VmId id, string name) = await db.FindVmAsync(vmName, cancellationToken);
        ProtectedVm? vm = await db.FindProtectedAsync(id, cancellationToken);
        if (LifeCycle.Decide(await desk.SituationAsync(db, vm, id, name, cancellationToken), VmCommand.DeleteBranch) is Decision.Refuse refuse)
        {
            throw new ErrorException(refuse.Error);
        }

        KeptBranch kept = (await branches.ListAsync(db, id, cancellationToken)).FirstOrDefault(candidate => BranchNames.IsNamed(candidate.Branch, branchName))
            ?? throw new ErrorException(Errors.BranchUnknown(name, branchName));
        string word = BranchNames.Of(kept.Branch);
        CommandDesk.RequireWord(word, request.Confirm);
        if (kept.Branch.UsedBy.Count > 0)
        {
            throw new ErrorException(Errors.BranchInUse(word, kept.Branch.UsedBy));
        }

        NewJob job = new(
            id, name, JobAction.DeleteBranch, [StepKind.DeleteBranch], new BranchInput(kept.Replica, kept.Branch.Id, word, kept.Host, kept.AtSource), user);
        return await desk.StartAsync(job, null, cancellationToken);
    }

    private async Task<Picked> PickAsync(VaultDb db, ProtectedVm vm, string wanted, CancellationToken cancellationToken)
    {
        KeptBranch? old = (await branches.ListAsync(db, vm.Vm, cancellationToken)).FirstOrDefault(kept => kept.AtSource && BranchNames.IsNamed(kept.Branch, wanted));
        return old is null
            ? await points.PickAsync(vm, wanted, cancellationToken)
            : throw new ErrorException(Errors.BranchElsewhere(vm.Name, wanted, old.HostName));
    }

    private static async Task<ProtectedVm> FindAsync(VaultDb db, string vmName, CancellationToken cancellationToken)
    {
        (VmId id, string name) = await db.FindVmAsync(vmName, cancellationToken);
        return await db.FindProtectedAsync(id, cancellationToken) ?? throw new ErrorException(Errors.NotProtected(name));
    }

    /// <summary>What is special about a point, and what stands on it (CFG-13).</summary>
    private static string[] MarksOf(ProtectedVm vm, RecoveryPointInfo point, PointsAnswer all, VmReports reports) =>
    [
        .. point.Kind == PointKind.CrashConsistent ? Array.Empty<string>() : [point.Kind.Word()],
        .. reports.Target?.Failover?.Point == point.Id ? ["runs"] : Array.Empty<string>(),
        .. vm.Tests.Where(test => test.Point == point.Id).Select(test => $"test {test.VmName}"),
        .. (all.Branches ?? []).Where(branch => branch.Point == point.Id).Select(branch => $"branch {BranchNames.Of(branch)}"),
        .. (reports.Target?.Mounts ?? []).Where(mount => mount.Point == point.Id && mount.Branch is null).Select(mount => mount.ToVm is null ? "mounted" : $"attached to {mount.ToVm}"),
    ];
}
