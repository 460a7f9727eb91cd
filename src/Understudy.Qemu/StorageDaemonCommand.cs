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
            AddNodes(command, i, spec.Exports[i]);
        }

        command.Add("--nbd-server");
        command.Add(new JsonObject
        {
            ["addr"] = new JsonObject { ["type"] = "unix", ["path"] = spec.SocketPath },
            ["max-connections"] = 0, // No limit: the socket is not reachable for others anyway.
        }.ToJsonString());
        for (int i = 0; i < spec.Exports.Count; i++)
        {
            JsonObject export = new()
            {
                ["type"] = "nbd",
                ["id"] = Named("export", i),
                ["node-name"] = Named("disk", i),
                ["name"] = spec.Exports[i].Name,
                ["writable"] = spec.Exports[i].Writable,
            };
            if (spec.Exports[i].Bitmap is { } bitmap)
            {
                export["bitmaps"] = new JsonArray(bitmap);
            }

            command.Add("--export");
            command.Add(export.ToJsonString());
        }

        return command;
    }

    private static void AddNodes(List<string> command, int index, StorageExport export)
    {
        switch (export.Backing)
        {
            case StorageBacking.Image image:
                Add(command, new JsonObject
                {
                    ["driver"] = "file",
                    ["node-name"] = Named("file", index),
                    ["filename"] = image.Path,
                    ["read-only"] = !export.Writable,
                    ["discard"] = "unmap",
                    ["cache"] = Direct(),
                    ["aio"] = "native",
                });
                Add(command, new JsonObject
                {
                    ["driver"] = image.Format,
                    ["node-name"] = Named("disk", index),
                    ["file"] = Named("file", index),
                    ["read-only"] = !export.Writable,
                    ["discard"] = "unmap",
                    ["detect-zeroes"] = export.Writable ? "unmap" : "off",
                    ["cache"] = Direct(),
                });
                break;
            case StorageBacking.Nbd server:
                Add(command, new JsonObject
                {
                    ["driver"] = "nbd",
                    ["node-name"] = Named("disk", index),
                    ["read-only"] = !export.Writable,
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

    /// <summary>Around the page cache (the journal's side has read or will read the same data), flushes kept.</summary>
    private static JsonObject Direct() => new() { ["direct"] = true, ["no-flush"] = false };

    private static void Add(List<string> command, JsonObject node)
    {
        command.Add("--blockdev");
        command.Add(node.ToJsonString());
    }

    private static string Named(string kind, int index) => string.Create(CultureInfo.InvariantCulture, $"{kind}{index}");
}
