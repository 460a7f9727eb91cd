using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Jobs;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection.Commands;

/// <summary>A copy of the VM from a point or a branch, beside production (TST-1).</summary>
internal sealed class TestCommand(CommandDesk desk, PointFinder points, IIdSource ids)
{
    public async Task<JobId> RunAsync(string vmName, TestVmDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Test, cancellationToken);
        Picked picked = await points.PickAsync(subject.Vm, request.Point, cancellationToken);
        await AtTarget.RequireHardwareAsync(db, subject.Vm, request.Run?.Cpus, request.Run?.MemoryBytes, cancellationToken);
        TestNicPlan nics = await NicsAsync(db, subject.Vm, request, cancellationToken);
        string testName = await NameAsync(db, subject.Vm, request.Run?.Name, cancellationToken);
        TestInput input = new(
            subject.Vm.Replica,
            new TestId(ids.NewGuid()),
            picked.Point,
            testName,
            nics.RestIsolated,
            nics.Nics,
            picked.Branch?.Id,
            CommandDesk.Label(request.Label),
            new RunChoices(Cpus: request.Run?.Cpus, MemoryBytes: request.Run?.MemoryBytes));
        return await desk.StartAsync(subject, input, user, cancellationToken);
    }

    private static async Task<TestNicPlan> NicsAsync(VaultDb db, ProtectedVm vm, TestVmDto request, CancellationToken cancellationToken)
    {
        HostRow target = await AtTarget.FindTargetAsync(db, vm, cancellationToken);
        (TestNicPlan? plan, ErrorInfo? error) = TestNicPlanner.Plan(
            vm.Nics, request.Network ?? TestNicPlanner.Isolated, AtTarget.Choices(request.Run?.Nics), target.Name, HostStore.FactsOf(target)?.Networks ?? []);
        return plan ?? throw new ErrorException(error!); // one of the two
    }

    /// <summary>A test must not take the name that the VM itself, or another one, will need there.</summary>
    private static async Task<string> NameAsync(VaultDb db, ProtectedVm vm, string? wanted, CancellationToken cancellationToken)
    {
        HashSet<string> taken = await AtTarget.NamesAsync(db, vm.TargetHost.Value, but: null, cancellationToken);
        return wanted is null ? VmNames.NextForTest(vm.TargetName, taken)
            : !VmNames.IsLawful(wanted) ? throw new ErrorException(Errors.BadName("VM", wanted))
            : !taken.Contains(wanted) ? wanted
            : throw new ErrorException(Errors.NameTaken(await CommandDesk.HostNameAsync(db, vm.TargetHost, cancellationToken), wanted, VmNames.NextFree(wanted, taken)));
    }
}
