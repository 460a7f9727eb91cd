using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

public sealed partial class LibvirtHypervisor
{
    /// <summary>As told last; null until it was told once. Replaced whole.</summary>
    private volatile IReadOnlyList<PoolFacts>? _pools;

    /// <summary>One pool that hangs keeps all of them from being listed, and must keep nothing else of the host from being known:
    /// what was told last stands then.</summary>
    private async Task<IReadOnlyList<PoolFacts>?> ListPoolsAsync(CancellationToken cancellationToken)
    {
        try
        {
            _pools = await _storage.OnStorageAsync("list the storage pools", ReadPools, cancellationToken);
        }
        catch (HypervisorException hung) when (IsNoAnswer(hung))
        {
            _logger.PoolsUnknown(hung.Message);
        }

        return _pools;
    }

    /// <summary>Also when the connection for such questions cannot be had, be it that libvirtd takes no more clients: what was asked on
    /// the other one just now stands.</summary>
    private static bool IsNoAnswer(HypervisorException fault) => fault.Fault is HypervisorFault.TimedOut or HypervisorFault.Busy or HypervisorFault.Unreachable;

    /// <summary>A libvirt without its storage driver has no pools.</summary>
    private static List<PoolFacts> ReadPools(ConnectHandle connect)
    {
        List<PoolFacts> found = [];
        try
        {
            int count = LibvirtLibrary.ConnectListAllStoragePools(connect, out nint array, 0);
            foreach (StoragePoolHandle pool in NativeResult.TakeArray(count, array, value => new StoragePoolHandle(value)))
            {
                using (pool)
                {
                    bool active = NativeResult.Check(LibvirtLibrary.StoragePoolIsActive(pool)) == 1;
                    found.Add(PoolXml.Read(NativeResult.Take(LibvirtLibrary.StoragePoolGetXml(pool, 0)), active));
                }
            }
        }
        catch (LibvirtException none) when (!none.FromConnection)
        {
            // No driver, or a pool that was undefined while we listed: the next look sees the rest.
        }

        found.Sort((left, right) => string.CompareOrdinal(left.Name, right.Name));
        return found;
    }
}
