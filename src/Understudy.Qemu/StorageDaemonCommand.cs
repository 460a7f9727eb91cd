using System.Globalization;
using System.Text.Json.Nodes;
using Understudy.Protection.Ports;

namespace Understudy.Qemu;

/// <summary>The command line of a storage daemon: a pure function of its specification. A running process with exactly
/// this command line is the daemon asked for, whoever started it.</summary>
internal static class StorageDaemonCommand
{
    private const int OpenSeconds = 5;

    public static IReadOnlyList<string> Build(string program, string pidFile, StorageDaemonSpec spec)
    {
        List<string> command = [program, "--daemonize", "--pidfile", pidFile];
        for (int i = 0; i < spec.Exports.Count; i++)
        {
            AddNodes(command, Numbered("", i), spec.Exports[i].Backing, spec.Exports[i].Writable);
        }

        if (spec.Exports.Any(export => export.File is null))
        {
            command.Add("--nbd-server");
            command.Add(new JsonObject
            {
                ["addr"] = new JsonObject { ["type"] = "unix", ["path"] = spec.SocketPath },
                ["max-connections"] = 0, // No limit: the socket is not reachable for others anyway.
            }.ToJsonString());
        }

        for (int i = 0; i < spec.Exports.Count; i++)
        {
            command.Add("--export");
            command.Add(Export(i, spec.Exports[i]).ToJsonString());
        }

        return command;
    }

    private static JsonObject Export(int index, StorageExport export)
    {
        JsonObject shown = new()
        {
            ["type"] = export.File is null ? "nbd" : "fuse",
            ["id"] = Numbered("export", index),
            ["node-name"] = Numbered("disk", index),
            ["writable"] = export.Writable,
        };
        if (export.File is { } file)
        {
            shown["mountpoint"] = file;
            shown["growable"] = false;
            shown["allow-other"] = "off";
        }
        else
        {
            shown["name"] = export.Name;
        }

        if (export.Bitmap is { } bitmap)
        {
            shown["bitmaps"] = new JsonArray(bitmap);
        }

        return shown;
    }

    /// <summary>The node <c>disk</c> and all that it stands on.</summary>
    private static void AddNodes(List<string> command, string suffix, StorageBacking backing, bool writable)
    {
        switch (backing)
        {
            case StorageBacking.Image image:
                AddFile(command, suffix, image.Path, image.IsDevice, writable);
                Add(command, Format(suffix, image.Format, writable));
                break;
            case StorageBacking.Overlay overlay:
                AddNodes(command, suffix + "b", overlay.Below, writable: false);
                AddFile(command, suffix, overlay.Path, isDevice: false, writable);
                JsonObject format = Format(suffix, "qcow2", writable);
                format["backing"] = $"disk{suffix}b";
                Add(command, format);
                break;
            case StorageBacking.Nbd server:
                Add(command, new JsonObject
                {
                    ["driver"] = "nbd",
                    ["node-name"] = $"disk{suffix}",
                    ["read-only"] = !writable,
                    ["server"] = new JsonObject { ["type"] = "unix", ["path"] = server.SocketPath },
                    ["export"] = server.ExportName,
                    ["reconnect-delay"] = (long)server.ReconnectDelay.TotalSeconds,
                    ["open-timeout"] = OpenSeconds, // The server may be about to listen: an agent that has just started.
                });
                break;
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private static void AddFile(List<string> command, string suffix, string path, bool isDevice, bool writable) => Add(command, new JsonObject
    {
        ["driver"] = ImageDrivers.Of(isDevice),
        ["node-name"] = $"file{suffix}",
        ["filename"] = path,
        ["read-only"] = !writable,
        ["discard"] = "unmap",
        ["cache"] = Direct(),
        ["aio"] = "native",
    });

    private static JsonObject Format(string suffix, string driver, bool writable) => new()
    {
        ["driver"] = driver,
        ["node-name"] = $"disk{suffix}",
        ["file"] = $"file{suffix}",
        ["read-only"] = !writable,
        ["discard"] = "unmap",
        ["detect-zeroes"] = writable ? "unmap" : "off",
        ["cache"] = Direct(),
    };

    /// <summary>Around the page cache (the journal's side has read or will read the same data), flushes kept.</summary>
    private static JsonObject Direct() => new() { ["direct"] = true, ["no-flush"] = false };

    private static void Add(List<string> command, JsonObject node)
    {
        command.Add("--blockdev");
        command.Add(node.ToJsonString());
    }

    private static string Numbered(string kind, int index) => string.Create(CultureInfo.InvariantCulture, $"{kind}{index}");
}
