using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;

namespace Understudy.Protection.Source;

/// <summary>The old disks of a VM that the other side owns: a branch that is kept until somebody deletes it by name.</summary>
/// <param name="Lost">The line they are of.</param>
/// <param name="Disks">Their paths; none once they are deleted.</param>
/// <param name="IsRetired">The VM stays at the other side for good, and nothing else of its protection is left here.</param>
public sealed record KeptDisks(BranchId Branch, LineId Lost, DateTimeOffset Since, IReadOnlyList<string> Disks, bool IsRetired)
{
    private const string Devices = "/dev/";

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
