using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>
/// How the VMs of this host were seen last, for the reports. While an order starts or ends a VM nobody can say, and a look at
/// libvirt that began before the order had ended knows nothing of what it did: a VM that had just been started was
/// reported as paused, since QEMU's first moments look so.
/// </summary>
internal sealed class SeenPower(TimeProvider time)
{
    private readonly Lock _lock = new(); // guards the three below: looks, orders and reports come from loops of their own
    private readonly Dictionary<VmId, VmPower> _seen = [];
    private readonly Dictionary<VmId, int> _changing = [];
    private readonly Dictionary<VmId, long> _changedAt = [];

    /// <summary>To be given to <see cref="Note"/> with what the look saw.</summary>
    public long BeginLook() => time.GetTimestamp();

    public void Note(VmId vm, VmPower power, long lookBegan)
    {
        lock (_lock)
        {
            if (!_changing.ContainsKey(vm) && !(_changedAt.TryGetValue(vm, out long at) && lookBegan <= at))
            {
                _seen[vm] = power;
            }
        }
    }

    /// <summary>Null when nobody has looked since it was changed.</summary>
    public VmPower? Of(VmId vm)
    {
        lock (_lock)
        {
            return _seen.TryGetValue(vm, out VmPower power) ? power : null;
        }
    }

    /// <summary>Runs an order that starts or ends the VM.</summary>
    public async Task<T> ChangeAsync<T>(VmId vm, Func<Task<T>> order)
    {
        lock (_lock)
        {
            _seen.Remove(vm);
            _changing[vm] = _changing.GetValueOrDefault(vm) + 1; // an order given twice runs twice, and finds what stands
        }

        try
        {
            return await order();
        }
        finally
        {
            lock (_lock)
            {
                _changedAt[vm] = time.GetTimestamp();
                if (--_changing[vm] == 0)
                {
                    _changing.Remove(vm);
                }
            }
        }
    }
}
