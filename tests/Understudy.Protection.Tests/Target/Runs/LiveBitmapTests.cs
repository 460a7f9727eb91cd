using System.Text.Json;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Tests.Target.Runs;

public sealed class LiveBitmapTests
{
    /// <summary>As QEMU 7.2 says it, shortened: one that recorded, and one that was in use when its QEMU was killed.</summary>
    private const string Nodes = """
        [{"image":{"filename":"/pool/vm/vda-0.qcow2"},"node-name":"libvirt-1-format","drv":"qcow2",
          "dirty-bitmaps":[{"name":"backup","recording":true,"persistent":true,"busy":false,"granularity":65536,"count":0},
                           {"name":"understudy-since-1","recording":false,"persistent":true,"inconsistent":true,"busy":false,"granularity":65536,"count":0}]},
         {"image":{"filename":"/pool/vm/vda-0.qcow2"},"node-name":"libvirt-1-storage","drv":"file"},
         {"image":{"filename":"/pool/vm/vdb-1.qcow2"},"node-name":"libvirt-2-format","drv":"qcow2","dirty-bitmaps":[{"recording":true,"persistent":false}]}]
        """;

    [Theory]
    [InlineData("/pool/vm/vda-0.qcow2", "understudy-since-1", "libvirt-1-format")]
    [InlineData("/pool/vm/vda-0.qcow2", "understudy-since-2", null)]
    [InlineData("/pool/vm/vdb-1.qcow2", "understudy-since-1", null)]
    [InlineData("/pool/vm/vdc-2.qcow2", "understudy-since-1", null)]
    public void The_node_is_the_one_on_that_image_with_that_bitmap(string image, string bitmap, string? node) =>
        Assert.Equal(node, LiveBitmap.FindNode(Nodes, image, bitmap));

    [Fact]
    public void The_command_names_node_and_bitmap()
    {
        using JsonDocument command = JsonDocument.Parse(LiveBitmap.RemoveCommand("libvirt-1-format", "understudy-since-1"));
        Assert.Equal("block-dirty-bitmap-remove", command.RootElement.GetProperty("execute").GetString());
        Assert.Equal("libvirt-1-format", command.RootElement.GetProperty("arguments").GetProperty("node").GetString());
        Assert.Equal("understudy-since-1", command.RootElement.GetProperty("arguments").GetProperty("name").GetString());
    }
}
