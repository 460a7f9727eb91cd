using System.Collections.Concurrent;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Guard;

/// <summary>
/// The start guard's folder: one small file a protected VM, read by libvirt's hook also while no agent runs. Files are
/// replaced whole, under names the hook does not look at before they are complete. Safe for many callers: a VM's token
/// gives its records one at a time.
/// </summary>
/// <param name="boot">This host's present boot.</param>
/// <param name="upSeconds">How long the host had been up when this agent began.</param>
public sealed class GuardFolder(IFileStore store, string boot, long upSeconds) : IStartGuard
{
    private readonly ConcurrentDictionary<VmId, TimeSpan> _startsAfter = new();

    /// <summary>Counts from the next publishing on.</summary>
    /// <param name="startsAfter">Null holds the VM until somebody has validated the claim.</param>
    public void SetPolicy(VmId vm, TimeSpan? startsAfter)
    {
        if (startsAfter is { } after)
        {
            _startsAfter[vm] = after;
        }
        else
        {
            _startsAfter.TryRemove(vm, out _);
        }
    }

    public async ValueTask PublishAsync(OwnershipRecord record, CancellationToken cancellationToken)
    {
        TimeSpan? after = _startsAfter.TryGetValue(record.Vm, out TimeSpan value) ? value : null;
        string name = record.Vm.ToString();
        string unfinished = name + ".new";
        await store.CreateFolderAsync("", cancellationToken);
        await store.DeleteAsync(unfinished, cancellationToken); // Left by a crash in the middle of this.
        await using (IStoreFile file = await store.OpenAsync(unfinished, FileOpen.New, cancellationToken))
        {
            await file.WriteAsync(0, GuardFile.Write(record, after, (boot, upSeconds)), cancellationToken);
            await file.FlushAsync(cancellationToken);
        }

        await store.RenameAsync(unfinished, name, cancellationToken);
        await store.FlushFolderAsync("", cancellationToken);
    }

    public async ValueTask RemoveAsync(VmId vm, CancellationToken cancellationToken)
    {
        await store.DeleteAsync(vm + ".new", cancellationToken);
        await store.DeleteAsync(vm.ToString(), cancellationToken);
        await store.FlushFolderAsync("", cancellationToken);
    }
}
