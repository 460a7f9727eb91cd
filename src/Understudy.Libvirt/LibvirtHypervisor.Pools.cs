using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

public sealed partial class LibvirtHypervisor
{
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
