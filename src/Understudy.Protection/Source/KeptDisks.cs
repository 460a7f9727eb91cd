using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source.Guest;

namespace Understudy.Protection.Source;

/// <summary>The old disks of a VM that the other side owns: a branch that is kept until somebody deletes it by name.</summary>
/// <param name="Lost">The line they are of.</param>
/// <param name="Disks">Paths of those that go when it is deleted: files that only this VM had and that are in the replica.</param>
/// <param name="Stays">What else the VM had, in words: it stays as it is.</param>
/// <param name="IsRetired">The VM stays at the other side for good, and nothing else of its protection is left here.</param>
public sealed record KeptDisks(
    BranchId Branch, LineId Lost, DateTimeOffset Since, IReadOnlyList<string> Disks, IReadOnlyList<string> Stays, bool IsRetired)
{
    /// <param name="noted">What the VM had when it was last owned here.</param>
    /// <param name="replicated">Target devices of the disks that the other side has as well.</param>
    internal static KeptDisks Of(
        BranchId branch, LineId lost, DateTimeOffset since, IReadOnlyList<NotedDisk> noted, IReadOnlyList<string> replicated, bool isRetired)
    {
        List<string> goes = [];
        List<string> stays = [];
        foreach (NotedDisk disk in noted)
        {
            if (WhyItStays(disk, replicated) is { } why)
            {
                stays.Add($"disk {disk.TargetDevice}, {disk.Source}: {why}");
            }
            else
            {
                goes.Add(disk.Source);
            }
        }

        return new KeptDisks(branch, lost, since, goes, stays, isRetired);
    }

    internal static RefusedException Unknown(string vmName, BranchId branch) => new(
        RefusalCode.NoSuchBranch, $"{vmName} has no old disks here under the name {branch}.", "See understudy point list.");

    /// <summary>The old VM goes first: nothing may have the disks open. Begun twice, it goes on.</summary>
    /// <returns>What stays, in words.</returns>
    internal async ValueTask<IReadOnlyList<string>> DeleteAsync(
        SourceMachine machine, OwnershipToken ownership, GuestKeeper guest, CancellationToken cancellationToken)
    {
        OwnershipRecord record = ownership.Record;
        if (record.State is not OwnershipState.Elsewhere)
        {
            throw new RefusedException(RefusalCode.Busy, $"{record.VmName} is owned here: these disks are its own.", "See understudy vm show.");
        }

        await machine.Lifecycle.DestroyAsync(record.Vm, cancellationToken);
        await machine.Stopped.CloseStaleAsync(record.Vm, cancellationToken);
        await machine.Lifecycle.UndefineAsync(record.Vm, cancellationToken);
        FilesOfOthers others = await FilesOfOthers.ReadAsync(machine, record.Vm, cancellationToken);
        List<string> left = [.. Stays];
        foreach (string disk in Disks)
        {
            if (others.WhyItStays(disk, await machine.Images.FollowAsync(disk, cancellationToken)) is { } why)
            {
                left.Add($"{disk}: {why}");
            }
            else if (await DeleteFileAsync(machine.Images, disk, cancellationToken) is { } device)
            {
                left.Add($"{disk}: it leads to block device {device}");
            }
        }

        await ownership.SetDisksAsync(record.VmName, [], cancellationToken);
        await guest.ForgetDisksAsync(cancellationToken);
        return left;
    }

    /// <summary>Of a link, what it leads to goes first: cut short, the link still leads there.</summary>
    /// <returns>The block device it leads to, which stays; null when it is gone.</returns>
    private static async ValueTask<string?> DeleteFileAsync(IImageTool images, string path, CancellationToken cancellationToken)
    {
        string file = await images.FollowAsync(path, cancellationToken);
        if (NotedDisk.IsDevice(file))
        {
            return file;
        }

        await images.DeleteAsync(file, cancellationToken);
        if (file != path)
        {
            await images.DeleteAsync(path, cancellationToken);
        }

        return null;
    }

    private static string? WhyItStays(NotedDisk disk, IReadOnlyList<string> replicated) => disk switch
    {
        { Belongs: DiskBelonging.ReadOnly } => "the VM only read it",
        { Belongs: DiskBelonging.Shared } => "it is shared between VMs",
        { Belongs: DiskBelonging.Late } => "it came when the VM was about to leave, so this may be the only copy",
        _ when !replicated.Contains(disk.TargetDevice) => "it is not replicated, so this is the only copy",
        { IsPath: false } => "it is no file of this host",
        { IsFile: false } => "a block device, as it is",
        _ => null,
    };
}
