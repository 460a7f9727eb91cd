using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source;

/// <summary>The old disks of a VM that the other side owns: a branch that is kept until somebody deletes it by name.</summary>
/// <param name="Lost">The line they are of.</param>
/// <param name="Disks">Their paths; none once they are deleted.</param>
/// <param name="IsRetired">The VM stays at the other side for good, and nothing else of its protection is left here.</param>
public sealed record KeptDisks(BranchId Branch, LineId Lost, DateTimeOffset Since, IReadOnlyList<string> Disks, bool IsRetired)
{
    private const string Devices = "/dev/";

    /// <summary>Paths of what is the VM's alone: the guard keeps others from starting on them, and with the old VM they are deleted.
    /// An install medium or a shared disk is used by other VMs with the same right.</summary>
    internal static IReadOnlyList<string> OwnOf(VmFacts vm) =>
        [.. vm.Disks.Where(disk => disk is { Device: "disk", ReadOnly: false, Shareable: false }).Select(disk => disk.Source).OfType<string>().Where(path => path.StartsWith('/'))];

    internal static RefusedException Unknown(string vmName, BranchId branch) => new(
        RefusalCode.NoSuchBranch, $"{vmName} has no old disks here under the name {branch}.", "See understudy point list.");

    /// <summary>The old VM goes first: nothing may have the disks open. Begun twice, it goes on.</summary>
    internal static async ValueTask<IReadOnlyList<string>> DeleteAsync(SourceMachine machine, OwnershipToken ownership, CancellationToken cancellationToken)
    {
        OwnershipRecord record = ownership.Record;
        if (record.State is not OwnershipState.Elsewhere)
        {
            throw new RefusedException(RefusalCode.Busy, $"{record.VmName} is owned here: these disks are its own.", "See understudy vm show.");
        }

        if (await machine.Inventory.FindVmAsync(record.Vm, cancellationToken) is { } vm)
        {
            // One that was added since they were last looked at goes too; noted first, because the definition goes before the disks.
            record = await ownership.SetDisksAsync(record.VmName, [.. record.Disks.Union(OwnOf(vm))], cancellationToken);
        }

        await machine.Lifecycle.DestroyAsync(record.Vm, cancellationToken);
        await machine.Stopped.CloseStaleAsync(record.Vm, cancellationToken);
        await machine.Lifecycle.UndefineAsync(record.Vm, cancellationToken);
        List<string> left = [];
        foreach (string disk in record.Disks)
        {
            if (disk.StartsWith(Devices, StringComparison.Ordinal))
            {
                left.Add($"block device {disk}, as it is");
            }
            else
            {
                await machine.Images.DeleteAsync(disk, cancellationToken);
            }
        }

        await ownership.SetDisksAsync(record.VmName, [], cancellationToken);
        return left;
    }
}
