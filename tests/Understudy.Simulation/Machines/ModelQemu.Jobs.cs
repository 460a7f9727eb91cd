using System.Globalization;
using System.Text.Json.Nodes;
using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Simulation.Machines;

/// <summary>Block jobs and the monitor: disks move underneath a running guest, by the rules that were seen in QEMU.</summary>
internal sealed partial class ModelQemu
{
    /// <summary>A job has caught up when it is looked at so often.</summary>
    private const int LooksUntilReady = 2;

    private readonly Dictionary<string, NbdNode> _added = new(StringComparer.Ordinal);

    public QemuDisk Disk(string target) => Disks.FirstOrDefault(d => d.Target == target) ?? throw Refused($"{_domain.Name} has no disk {target}");

    public void BeginCopy(string target, string destination)
    {
        RequireNoJob(Disk(target)).Job = new ModelJob(BlockJobKind.Copy, destination, 0);
        _ = _machine.Image(destination);
    }

    public void BeginCommit(string target)
    {
        QemuDisk disk = RequireNoJob(Disk(target));
        if (disk.Active.Backing is not ImageBacking.File below)
        {
            throw Refused($"{disk.Active.Path} has no image below it");
        }

        Locked(() => _machine.RequireLock(below.Path, forWriting: true, this));
        disk.Job = new ModelJob(BlockJobKind.ActiveCommit, below.Path, 0);
    }

    public BlockJobFacts? Look(string target)
    {
        QemuDisk disk = Disk(target);
        if (disk.Job is not { } job)
        {
            return null;
        }

        disk.Job = job with { Looks = job.Looks + 1 };
        bool ready = job.Looks + 1 >= LooksUntilReady;
        return new BlockJobFacts(job.Kind, ready ? 2 : 1, 2, ready);
    }

    public void Abort(string target) => Disk(target).Job = null;

    public void Pivot(string target)
    {
        QemuDisk disk = Disk(target);
        if (disk.Job is not { } job || job.Looks < LooksUntilReady)
        {
            throw Refused($"the job of {target} is not ready for a pivot");
        }

        ModelImage from = disk.Active;
        ModelImage to = _machine.Image(job.Destination);
        if (job.Kind == BlockJobKind.Copy)
        {
            ModelImage below = to.Backing is ImageBacking.File file ? _machine.Image(file.Path) : to;
            Locked(() => _machine.RequireLock(below.Path, forWriting: false, this));
            for (int block = 0; block < from.Layer.BlockCount; block++)
            {
                if (!from.Layer.IsHole(block))
                {
                    to.Layer.Write((long)block * BlockSize.Bytes, from.Layer.Block(block));
                }
            }

            to.Expected = from.Expected;
            _ = Flatten(to, below);
        }
        else
        {
            Locked(() => _machine.RequireLock(to.Path, forWriting: true, this));
            to.Adopt(Flatten(from, to));
            to.Expected = from.Expected;
        }

        // libvirt carries those that can be trusted.
        foreach ((string bitmap, _) in from.Bitmaps.Where(b => b.Value).ToArray())
        {
            to.Bitmaps[bitmap] = true;
        }

        (disk.Active, disk.Job) = (to, null);
        LiveXml = DomainXml.Moved(LiveXml, target, to.Path);
        _domain.Inactive = DomainXml.Moved(_domain.Inactive, target, to.Path);
        _machine.Trace("pivot", to.Path);
    }

    /// <summary>The few commands with which a backing connection is replaced, or a bitmap removed.</summary>
    public Task<string> ExecuteAsync(string command) => (Process ?? throw Refused("no process")).InvokeAsync(() => ExecuteInQemuAsync(command));

    private async Task<string> ExecuteInQemuAsync(string command)
    {
        JsonNode root = JsonNode.Parse(command) ?? throw Refused("no command");
        switch ((string?)root["execute"])
        {
            case "query-named-block-nodes":
                return Nodes().ToJsonString();
            case "blockdev-add":
                JsonNode file = root["arguments"]?["file"] ?? throw Refused("no file");
                var node = new NbdNode(
                    _machine,
                    Process ?? throw Refused("no process"),
                    (string?)file["server"]?["path"] ?? "",
                    (string?)file["export"] ?? "",
                    TimeSpan.FromSeconds((int?)file["reconnect-delay"] ?? 0));
                await Connected(node);
                _added[(string?)root["arguments"]?["node-name"] ?? ""] = node;
                return "{}";
            case "blockdev-reopen":
                JsonNode options = root["arguments"]?["options"]?[0] ?? throw Refused("no options");
                QemuDisk reopened = DiskOf((string?)options["node-name"]);
                reopened.Chain.Replace(reopened.Active, _added[(string?)options["backing"] ?? ""]);
                return "{}";
            case "block-dirty-bitmap-remove":
                JsonNode arguments = root["arguments"] ?? throw Refused("no arguments");
                if (!DiskOf((string?)arguments["node"]).Active.Bitmaps.Remove((string?)arguments["name"] ?? ""))
                {
                    throw Refused($"Dirty bitmap '{arguments["name"]}' not found");
                }

                return "{}";
            case var other:
                throw Refused($"the model's monitor does not know {other}");
        }
    }

    private QemuDisk DiskOf(string? node) => Disks[int.Parse((node ?? "").Split('-')[1], CultureInfo.InvariantCulture)];

    private static async Task Connected(NbdNode node)
    {
        try
        {
            await node.ConnectAsync();
        }
        catch (StorageException failed)
        {
            throw Refused(failed.Message);
        }
    }

    private JsonArray Nodes()
    {
        JsonArray nodes = [];
        for (int i = 0; i < Disks.Count; i++)
        {
            foreach (string driver in (string[])["file", "qcow2"])
            {
                JsonObject node = new()
                {
                    ["node-name"] = string.Create(CultureInfo.InvariantCulture, $"{driver}-{i}"),
                    ["drv"] = driver,
                    ["detect_zeroes"] = "off",
                    ["cache"] = new JsonObject { ["direct"] = true, ["no-flush"] = false },
                    ["image"] = new JsonObject { ["filename"] = Disks[i].Active.Path },
                };
                if (driver == "qcow2" && Disks[i].Active.Bitmaps.Count > 0)
                {
                    node["dirty-bitmaps"] = new JsonArray([.. Disks[i].Active.Bitmaps.Keys.Select(bitmap => new JsonObject { ["name"] = bitmap })]);
                }

                nodes.Add(node);
            }
        }

        return nodes;
    }

    private static QemuDisk RequireNoJob(QemuDisk disk) => disk.Job is null ? disk : throw Refused($"disk {disk.Target} is already in active block job");

    private static void Locked(Action require)
    {
        try
        {
            require();
        }
        catch (StorageException held)
        {
            throw Refused(held.Message);
        }
    }

    private static HypervisorException Refused(string words) => new(HypervisorFault.Refused, $"{words} (simulated)");
}
