using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

public sealed partial class LibvirtHypervisor
{
    public async ValueTask<IReadOnlyList<NetworkFacts>> ListNetworksAsync(CancellationToken cancellationToken) =>
        await _connection.CallAsync("list the networks", _settings.QueryLimit, ReadNetworks, cancellationToken);

    public async ValueTask CreateNetworkAsync(string networkXml, CancellationToken cancellationToken) =>
        await _connection.CallAsync<object?>(
            "create the network",
            _settings.JobLimit,
            connect =>
            {
                NativeResult.Check(LibvirtLibrary.NetworkCreateXml(connect, networkXml)).Dispose();
                return null;
            },
            cancellationToken);

    public async ValueTask DestroyNetworkAsync(string name, CancellationToken cancellationToken) =>
        await _connection.CallAsync<object?>(
            $"destroy network {name}",
            _settings.JobLimit,
            connect =>
            {
                DestroyNetwork(connect, name);
                return null;
            },
            cancellationToken);

    private static List<NetworkFacts> ReadNetworks(ConnectHandle connect)
    {
        int count = LibvirtLibrary.ConnectListAllNetworks(connect, out nint array, 0);
        List<NetworkFacts> found = [];
        foreach (NetworkHandle network in NativeResult.TakeArray(count, array, value => new NetworkHandle(value)))
        {
            using (network)
            {
                try
                {
                    bool active = NativeResult.Check(LibvirtLibrary.NetworkIsActive(network)) == 1;
                    found.Add(NetworkXml.Read(NativeResult.Take(LibvirtLibrary.NetworkGetXml(network, 0)), active));
                }
                catch (LibvirtException gone) when (gone.Code == LibvirtErrorCode.NoNetwork)
                {
                    // Destroyed while we listed.
                }
            }
        }

        found.Sort((left, right) => string.CompareOrdinal(left.Name, right.Name));
        return found;
    }

    private static void DestroyNetwork(ConnectHandle connect, string name)
    {
        try
        {
            using NetworkHandle network = NativeResult.Check(LibvirtLibrary.NetworkLookupByName(connect, name));
            if (NativeResult.Check(LibvirtLibrary.NetworkIsActive(network)) == 1)
            {
                NativeResult.Check(LibvirtLibrary.NetworkDestroy(network));
            }
        }
        catch (LibvirtException gone) when (gone.Code == LibvirtErrorCode.NoNetwork)
        {
        }
    }
}
