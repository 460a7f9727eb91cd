using System.Text.Json;
using System.Text.Json.Nodes;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Target.Runs;

/// <summary>
/// Points a running guest's overlay at a new backing connection. libvirt's own NBD backing never reconnects, so after
/// the storage daemon under it was replaced, QEMU is told by its monitor: add a node over the new daemon, reopen the
/// overlay on it. Only the connection changes, never the content (docs/protocols/views.md).
/// </summary>
internal static class BackingReopen
{
    private const int ReconnectSeconds = 10;

    /// <param name="nodeName">A name that this QEMU has not seen yet.</param>
    /// <param name="readOnly">The guest does not write to this overlay but to one above it.</param>
    public static async ValueTask RunAsync(
        IVmLifecycle hypervisor, VmId vm, string overlay, string socket, string export, string nodeName, bool readOnly, CancellationToken cancellationToken)
    {
        string nodes = await hypervisor.MonitorCommandAsync(vm, """{"execute":"query-named-block-nodes"}""", cancellationToken);
        OverlayNodes found = Find(nodes, overlay)
            ?? throw new UnderstudyException(FaultClass.Transient, $"QEMU has no node for the overlay {overlay}");
        await hypervisor.MonitorCommandAsync(vm, AddCommand(socket, export, nodeName), cancellationToken);
        await hypervisor.MonitorCommandAsync(vm, ReopenCommand(found, nodeName, readOnly), cancellationToken);
    }

    /// <summary>Null when no qcow2 node stands on that file.</summary>
    internal static OverlayNodes? Find(string nodesJson, string overlay)
    {
        using JsonDocument nodes = JsonDocument.Parse(nodesJson);
        OverlayNodes? format = null;
        string? storage = null;
        foreach (JsonElement node in nodes.RootElement.EnumerateArray())
        {
            if (node.GetProperty("image").GetProperty("filename").GetString() is not { } file || !StandsOn(file, overlay))
            {
                continue;
            }

            string name = node.GetProperty("node-name").GetString() ?? "";
            string driver = node.GetProperty("drv").GetString() ?? "";
            if (driver == "file")
            {
                storage = name;
            }
            else if (driver == "qcow2")
            {
                JsonElement cache = node.GetProperty("cache");
                format = new OverlayNodes(
                    name, "", cache.GetProperty("direct").GetBoolean(), cache.GetProperty("no-flush").GetBoolean(), node.GetProperty("detect_zeroes").GetString() ?? "off");
            }
        }

        return format is null || storage is null ? null : format with { Storage = storage };
    }

    internal static string AddCommand(string socket, string export, string nodeName) => Command("blockdev-add", new JsonObject
    {
        ["driver"] = "raw",
        ["node-name"] = nodeName,
        ["read-only"] = true,
        ["file"] = new JsonObject
        {
            ["driver"] = "nbd",
            ["read-only"] = true,
            ["server"] = new JsonObject { ["type"] = "unix", ["path"] = socket },
            ["export"] = export,
            ["reconnect-delay"] = ReconnectSeconds,
        },
    });

    /// <summary>Options that are not named go back to their defaults, so those that libvirt sets are all named.</summary>
    internal static string ReopenCommand(OverlayNodes overlay, string backing, bool readOnly) => Command("blockdev-reopen", new JsonObject
    {
        ["options"] = new JsonArray(new JsonObject
        {
            ["driver"] = "qcow2",
            ["node-name"] = overlay.Format,
            ["file"] = overlay.Storage,
            ["backing"] = backing,
            ["read-only"] = readOnly,
            ["discard"] = "unmap",
            ["detect-zeroes"] = overlay.DetectZeroes,
            ["cache"] = new JsonObject { ["direct"] = overlay.CacheDirect, ["no-flush"] = overlay.CacheNoFlush },
        }),
    });

    /// <summary>QEMU shows a file by its path, or as JSON once options beyond the path are set.</summary>
    internal static bool StandsOn(string shown, string path) =>
        shown == path || (shown.StartsWith("json:", StringComparison.Ordinal) && shown.Contains($"\"{path}\"", StringComparison.Ordinal));

    private static string Command(string name, JsonObject arguments) =>
        new JsonObject { ["execute"] = name, ["arguments"] = arguments }.ToJsonString();
}

/// <summary>The overlay in QEMU's graph: its qcow2 node and the file below it, with the options it was opened with.</summary>
internal sealed record OverlayNodes(string Format, string Storage, bool CacheDirect, bool CacheNoFlush, string DetectZeroes);
