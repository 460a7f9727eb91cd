using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Tests.Ownership;

/// <summary>A start guard that remembers what it was last told.</summary>
internal sealed class MemoryGuard(string boot) : IStartGuard
{
    private readonly Dictionary<VmId, OwnershipRecord> _published = [];

    /// <summary>Called before each call does anything, so that a test can look or break it.</summary>
    public Action<string>? Before { get; set; }

    /// <summary>The same files, in another boot of the host.</summary>
    public MemoryGuard AfterBoot(string next)
    {
        MemoryGuard guard = new(next);
        foreach ((VmId vm, OwnershipRecord record) in _published)
        {
            guard._published[vm] = record;
        }

        return guard;
    }

    /// <summary>As the hook decides: a VM that is not guarded may always be started.</summary>
    public bool MayStart(VmId vm) => !_published.TryGetValue(vm, out OwnershipRecord? record) || record.MayRun(boot);

    public IReadOnlyList<string> DisksOf(VmId vm) => _published[vm].Disks;

    public ValueTask PublishAsync(OwnershipRecord record, CancellationToken cancellationToken)
    {
        Before?.Invoke("publish");
        _published[record.Vm] = record;
        return ValueTask.CompletedTask;
    }

    public ValueTask RemoveAsync(VmId vm, CancellationToken cancellationToken)
    {
        Before?.Invoke("remove");
        _published.Remove(vm);
        return ValueTask.CompletedTask;
    }
}
