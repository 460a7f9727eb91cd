using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Real;

[Collection(LibvirtCollection.Name)]
public sealed class NetworkTests(PrivateHost host)
{
    [Fact]
    public async Task An_isolated_network_lives_until_it_is_destroyed()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await hypervisor.CreateNetworkAsync("<network><name>us-test</name><bridge name='us-test-br'/></network>", default);

        NetworkFacts facts = Assert.Single(await hypervisor.ListNetworksAsync(default), network => network.Name == "us-test");
        Assert.Equal(new NetworkFacts("us-test", Active: true, Isolated: true, "us-test-br"), facts);
        Assert.Contains(facts, (await hypervisor.GetHostAsync(default)).Networks);

        await hypervisor.DestroyNetworkAsync("us-test", default);
        await hypervisor.DestroyNetworkAsync("us-test", default);
        Assert.DoesNotContain(await hypervisor.ListNetworksAsync(default), network => network.Name == "us-test");
    }
}
