using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Xml;

public sealed class PoolXmlTests
{
    [Fact]
    public void A_folder_has_its_path_and_a_pool_of_objects_has_none()
    {
        Assert.Equal(
            new PoolFacts("tank", "netfs", "/tank", true),
            PoolXml.Read("<pool type='netfs'><name>tank</name><source><host name='nas'/></source><target><path>/tank</path></target></pool>", active: true));
        Assert.Equal(new PoolFacts("rbd", "rbd", null, false), PoolXml.Read("<pool type='rbd'><name>rbd</name><source><name>p</name></source></pool>", active: false));
    }
}
