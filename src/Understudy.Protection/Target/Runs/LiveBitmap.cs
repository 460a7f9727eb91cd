using System.Text.Json;
using System.Text.Json.Nodes;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Target.Runs;

/// <summary>
/// Takes a bitmap of ours out of an image that a running VM stands on, through its QEMU's monitor. It takes one that cannot be
/// trusted as well, which libvirt does not know: the QEMU that recorded it was killed, and the next one found it in use.
/// </summary>
internal static class LiveBitmap
{
    /// <returns>False when the VM does not run (any more): the image is nobody's then.</returns>
    public static async ValueTask<bool> TryRemoveAsync(IVmLifecycle hypervisor, VmId vm, string image, string bitmap, CancellationToken cancellationToken)
    {
        try
        {
            string nodes = await hypervisor.MonitorCommandAsync(vm, """{"execute":"query-named-block-nodes"}""", cancellationToken);
            if (FindNode(nodes, image, bitmap) is { } node)
            {
                await hypervisor.MonitorCommandAsync(vm, RemoveCommand(node, bitmap), cancellationToken);
            }

            return true;
        }
        catch (HypervisorException off) when (off.Fault is HypervisorFault.NotRunning or HypervisorFault.NoSuchVm)
        {
            return false;
        }
    }

    /// <summary>The node on that image that has the bitmap; null when none has.</summary>
    internal static string? FindNode(string nodesJson, string image, string bitmap)
    {
        using JsonDocument nodes = JsonDocument.Parse(nodesJson);
        foreach (JsonElement node in nodes.RootElement.EnumerateArray())
        {
            if (BackingReopen.StandsOn(node.GetProperty("image").GetProperty("filename").GetString() ?? "", image)
                && node.TryGetProperty("dirty-bitmaps", out JsonElement bitmaps)
                && bitmaps.EnumerateArray().Any(other => other.TryGetProperty("name", out JsonElement name) && name.GetString() == bitmap))
            {
                return node.GetProperty("node-name").GetString();
            }
        }

        return null;
    }

    internal static string RemoveCommand(string node, string bitmap) => new JsonObject
    {
        ["execute"] = "block-dirty-bitmap-remove",
        ["arguments"] = new JsonObject { ["node"] = node, ["name"] = bitmap },
    }.ToJsonString();
}
