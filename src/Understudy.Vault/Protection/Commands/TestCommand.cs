using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Jobs;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection.Commands;

/// <summary>A copy of the VM from a point or a branch, beside production (TST-1).</summary>
internal sealed class TestCommand(CommandDesk desk, PointFinder points, IIdSource ids)
{
    private const string Isolated = "isolated";
    private const string Mapped = "mapped";

    public async Task<JobId> RunAsync(string vmName, TestVmDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Test, cancellationToken);
        Picked picked = await points.PickAsync(subject.Vm, request.Point, cancellationToken);
        (bool isolated, IReadOnlyList<NicPlan> nics) = await NicsAsync(db, subject.Vm, request.Network ?? Isolated, cancellationToken);
        string testName = await FreeNameAsync(db, subject.Vm, cancellationToken);
        TestInput input = new(
            subject.Vm.Replica, new TestId(ids.NewGuid()), picked.Point, testName, isolated, nics, picked.Branch?.Id, CommandDesk.Label(request.Label));
        return await desk.StartAsync(subject, input, user, cancellationToken);
    }

    private static async Task<(bool Isolated, IReadOnlyList<NicPlan> Nics)> NicsAsync(VaultDb db, ProtectedVm vm, string network, CancellationToken cancellationToken)
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

    private static async Task<string> FreeNameAsync(VaultDb db, ProtectedVm vm, CancellationToken cancellationToken)
    {
        HashSet<string> taken = [
            .. await db.Vms.Where(row => row.HostId == vm.TargetHost.Value).Select(row => row.Name).ToListAsync(cancellationToken),
            .. await db.Tests.Select(row => row.VmName).ToListAsync(cancellationToken),
        ];
        return Understudy.Blocks.Identity.VmNames.NextForTest(vm.TargetName, taken);
    }
}
