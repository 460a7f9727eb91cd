using System.Text.Json.Nodes;
using System.Xml.Linq;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Nbd;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Tests.Target.World;

/// <summary>
/// A hypervisor with the rules that were seen in libvirt 9.0 and QEMU 7.2: a VM starts only when the views under its
/// disks can be read; a copy's pivot fails while anybody holds the base for writing; an active commit does not begin
/// while anybody holds it at all; a job is ready the second time it is looked at.
/// </summary>
internal sealed class ModelHypervisor(ModelHost host, ModelSockets sockets) : IHypervisor
{
    public ValueTask<HostFacts> GetHostAsync(CancellationToken cancellationToken) =>
        new(new HostFacts("here", "9.0", "7.2", true, 1, 1, 1, [], []));

    public ValueTask<IReadOnlyList<VmFacts>> ListVmsAsync(CancellationToken cancellationToken) =>
        new([.. host.Domains.Select(domain => Facts(domain.Key, domain.Value))]);

    public ValueTask<VmFacts?> FindVmAsync(VmId vm, CancellationToken cancellationToken) =>
        new(host.Domains.TryGetValue(vm, out ModelDomain? domain) ? Facts(vm, domain) : null);

    public ValueTask<string> GetDefinitionAsync(VmId vm, DefinitionKind kind, CancellationToken cancellationToken) =>
        new(kind == DefinitionKind.Inactive ? Domain(vm).Inactive : Running(vm).Live!); // Not null: it runs.

    public ValueTask<IReadOnlyList<string>> ListCheckpointsAsync(VmId vm, CancellationToken cancellationToken) => new([.. Domain(vm).Checkpoints]);

    public ValueTask DeleteCheckpointAsync(VmId vm, string name, CancellationToken cancellationToken)
    {
        Domain(vm).Checkpoints.Remove(name);
        foreach (string path in Disks(Domain(vm).Inactive).Values)
        {
            host.Image(path).Bitmaps.Remove(name);
        }

        return default;
    }

    /// <summary>What happens on the host in the moment in which somebody asks whether a VM runs.</summary>
    public Func<VmId, ValueTask>? BeforeState { get; set; }

    public async ValueTask<VmRunState> GetRunStateAsync(VmId vm, CancellationToken cancellationToken)
    {
        await (BeforeState?.Invoke(vm) ?? ValueTask.CompletedTask);
        return StateOf(vm);
    }

    private VmRunState StateOf(VmId vm) =>
        !host.Domains.TryGetValue(vm, out ModelDomain? domain) ? VmRunState.Absent : domain.Live is null ? VmRunState.Off : domain.IsPaused ? VmRunState.Paused : domain.HasReadError ? VmRunState.PausedIoError : VmRunState.Running;

    public ValueTask<VmId> DefineAsync(string domainXml, CancellationToken cancellationToken)
    {
        XElement domain = XElement.Parse(domainXml);
        VmId vm = new(Guid.Parse(domain.Element("uuid")!.Value));
        string name = domain.Element("name")!.Value;
        Require(!host.Domains.Any(other => other.Value.Name == name && other.Key != vm), $"domain '{name}' already exists with another uuid");
        Require(!host.Domains.TryGetValue(vm, out ModelDomain? known) || known.Live is null, "it runs: what is told of the next start is not modelled");
        host.Domains[vm] = new ModelDomain(name) { Inactive = domainXml };
        return new(vm);
    }

    public ValueTask UndefineAsync(VmId vm, CancellationToken cancellationToken)
    {
        Require(!host.Domains.TryGetValue(vm, out ModelDomain? domain) || domain.Live is null, "it runs, and would go on without a definition");
        host.Domains.Remove(vm);
        return default;
    }

    /// <summary>What happens on the host in the moment in which QEMU begins to open its disks.</summary>
    public Action? BeforeStart { get; set; }

    public async ValueTask StartAsync(VmId vm, CancellationToken cancellationToken)
    {
        ModelDomain domain = Domain(vm);
        Require(host.Guarded.GetValueOrDefault(vm)?.MayRun(host.Boot) != false, "Hook script execution failed: not this side's to run");
        Require(domain.Live is null, "domain is already running");
        BeforeStart?.Invoke();
        foreach (string path in Disks(domain.Inactive).Values)
        {
            ModelImage image = host.Image(path);
            while (image.Backing is ImageBacking.File below)
            {
                image = host.Image(below.Path);
            }

            if (image.Backing is ImageBacking.Nbd backing)
            {
                await RequireReadableAsync(backing, cancellationToken);
            }
        }

        domain.Live = domain.Inactive;
        domain.Starts++;
    }

    public ValueTask SetLinksAsync(VmId vm, bool up, CancellationToken cancellationToken) => throw new NotSupportedException("no recovery does this");

    public ValueTask DestroyAsync(VmId vm, CancellationToken cancellationToken)
    {
        Require(!host.Failing.Contains("Destroy"), "cannot acquire state change lock");
        if (host.Domains.TryGetValue(vm, out ModelDomain? domain))
        {
            domain.PowerOff();
        }

        return default;
    }

    /// <summary>Block copies begin when this has ended.</summary>
    public Task CopiesWaitFor { get; set; } = Task.CompletedTask;

    /// <summary>Told of each disk that has moved to its copy.</summary>
    public Action<ModelDomain> Copied { get; set; } = _ => { };

    public async ValueTask StartShallowCopyAsync(VmId vm, string targetDevice, string destinationPath, string format, CancellationToken cancellationToken)
    {
        await CopiesWaitFor;
        Require(!Running(vm).Jobs.ContainsKey(targetDevice), "disk is already in active block job");
        Running(vm).Jobs[targetDevice] = new ModelJob(BlockJobKind.Copy, destinationPath, Ready: false);
    }

    public ValueTask StartActiveCommitAsync(VmId vm, string targetDevice, CancellationToken cancellationToken)
    {
        Require(!Running(vm).Jobs.ContainsKey(targetDevice), "disk is already in active block job");
        ImageBacking.File under = (ImageBacking.File)host.Image(Disks(Running(vm).Live!)[targetDevice]).Backing!;
        Require(!host.IsOpenByADaemon(under.Path, forWriting: false), "block-commit: Failed to get \"write\" lock");
        Running(vm).Jobs[targetDevice] = new ModelJob(BlockJobKind.ActiveCommit, under.Path, Ready: false);
        return default;
    }

    public ValueTask<BlockJobFacts?> GetBlockJobAsync(VmId vm, string targetDevice, CancellationToken cancellationToken)
    {
        if (!Running(vm).Jobs.TryGetValue(targetDevice, out ModelJob? job))
        {
            return new((BlockJobFacts?)null);
        }

        Running(vm).Jobs[targetDevice] = job with { Ready = true };
        return new(new BlockJobFacts(job.Kind, job.Ready ? 2 : 1, 2, job.Ready));
    }

    public ValueTask PivotAsync(VmId vm, string targetDevice, CancellationToken cancellationToken)
    {
        ModelDomain domain = Running(vm);
        ModelJob job = domain.Jobs[targetDevice];
        Require(job.Ready, "not ready for pivot yet");
        ModelImage from = host.Image(Disks(domain.Live!)[targetDevice]);
        ModelImage to = host.Image(job.Destination);
        string locked = to.Backing is ImageBacking.File below ? below.Path : job.Destination;
        Require(!host.IsOpenByADaemon(locked, forWriting: to.Backing is not null), "Failed to get shared \"write\" lock");
        foreach ((long block, byte pattern) in from.Written)
        {
            to.Write(block, pattern);
        }

        to.Bitmaps.UnionWith(from.Bitmaps);
        domain.Jobs.Remove(targetDevice);
        domain.Live = Moved(domain.Live!, targetDevice, job.Destination);
        domain.Inactive = Moved(domain.Inactive, targetDevice, job.Destination);
        if (job.Kind == BlockJobKind.Copy)
        {
            Copied(domain);
        }

        return default;
    }

    public ValueTask AbortBlockJobAsync(VmId vm, string targetDevice, CancellationToken cancellationToken)
    {
        Running(vm).Jobs.Remove(targetDevice);
        return default;
    }

    public ValueTask RedefineCheckpointAsync(VmId vm, string name, IReadOnlyList<string> targetDevices, CancellationToken cancellationToken)
    {
        Dictionary<string, string> disks = Disks(Running(vm).Live!);
        Require(targetDevices.All(device => host.Image(disks[device]).Bitmaps.Contains(name)), "missing or broken bitmap");
        Running(vm).Checkpoints.Add(name);
        return default;
    }

    public ValueTask AttachDiskAsync(VmId vm, string diskXml, CancellationToken cancellationToken)
    {
        XElement live = XElement.Parse(Running(vm).Live!); // Not null: it runs.
        live.Element("devices")!.Add(XElement.Parse(diskXml));
        Running(vm).Live = live.ToString();
        return default;
    }

    public ValueTask RequestDetachAsync(VmId vm, string alias, CancellationToken cancellationToken)
    {
        XElement live = XElement.Parse(Running(vm).Live!);
        live.Element("devices")!.Elements("disk").Where(disk => (string?)disk.Element("alias")?.Attribute("name") == alias).Remove();
        Running(vm).Live = live.ToString();
        return default;
    }

    public ValueTask<IReadOnlyList<NetworkFacts>> ListNetworksAsync(CancellationToken cancellationToken) =>
        new([.. host.Networks.Select(network => new NetworkFacts(network.Key, true, true, network.Value))]);

    public ValueTask CreateNetworkAsync(string networkXml, CancellationToken cancellationToken)
    {
        XElement network = XElement.Parse(networkXml);
        Require(host.Networks.TryAdd(network.Element("name")!.Value, (string?)network.Element("bridge")?.Attribute("name") ?? ""), "network already exists");
        return default;
    }

    /// <summary>Libvirt is sick: no network goes.</summary>
    public bool KeepsNetworks { get; set; }

    public ValueTask DestroyNetworkAsync(string name, CancellationToken cancellationToken)
    {
        Require(!KeepsNetworks, "the network does not go");
        host.Networks.Remove(name);
        return default;
    }

    /// <summary>As the guest, while it runs.</summary>
    public void GuestWrite(VmId vm, string targetDevice, long block, byte pattern) =>
        host.Image(Disks(Running(vm).Live!)[targetDevice]).Write(block, pattern);

    public ValueTask<ICapture> BeginCaptureAsync(CaptureRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask ClearStaleCaptureAsync(VmId vm, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask ResumeAsync(VmId vm, CancellationToken cancellationToken)
    {
        Running(vm).IsPaused = false;
        Running(vm).HasReadError = false;
        return default;
    }

    public ValueTask SuspendAsync(VmId vm, CancellationToken cancellationToken)
    {
        Require(!host.Failing.Contains("Suspend"), "cannot acquire state change lock");
        Running(vm).IsPaused = true;
        return default;
    }

    public ValueTask RequestShutdownAsync(VmId vm, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>Bitmaps of the images that a running VM stands on, by nodes that have its devices' names.</summary>
    public ValueTask<string> MonitorCommandAsync(VmId vm, string qmpJson, CancellationToken cancellationToken)
    {
        Dictionary<string, string> disks = Disks(Running(vm).Live!);
        JsonNode command = JsonNode.Parse(qmpJson)!;
        switch ((string?)command["execute"])
        {
            case "query-named-block-nodes":
                return new(new JsonArray([.. disks.Select(disk => Node(disk.Key, disk.Value))]).ToJsonString());
            case "block-dirty-bitmap-remove":
                Require(host.Image(disks[(string)command["arguments"]!["node"]!]).Bitmaps.Remove((string)command["arguments"]!["name"]!), "bitmap not found");
                return new("{}");
            default:
                throw new NotSupportedException(qmpJson);
        }
    }

    private JsonObject Node(string device, string path) => new()
    {
        ["node-name"] = device,
        ["image"] = new JsonObject { ["filename"] = path },
        ["dirty-bitmaps"] = new JsonArray([.. host.Image(path).Bitmaps.Select(bitmap => new JsonObject { ["name"] = bitmap })]),
    };

    private static VmFacts Facts(VmId vm, ModelDomain domain) => new(
        vm, domain.Name, domain.Live is null ? VmRunState.Off : VmRunState.Running, 1, 1, "bios", "pc", true, false, false, [], []);

    private static Dictionary<string, string> Disks(string domainXml) => XElement.Parse(domainXml).Element("devices")!.Elements("disk")
        .ToDictionary(disk => (string)disk.Element("target")!.Attribute("dev")!, disk => (string)disk.Element("source")!.Attribute("file")!);

    private static string Moved(string xml, string targetDevice, string path)
    {
        XElement domain = XElement.Parse(xml);
        domain.Element("devices")!.Elements("disk").Single(disk => (string?)disk.Element("target")!.Attribute("dev") == targetDevice)
            .Element("source")!.SetAttributeValue("file", path);
        return domain.ToString();
    }

    private static void Require(bool holds, string words)
    {
        if (!holds)
        {
            throw new HypervisorException(HypervisorFault.Refused, words);
        }
    }

    private async ValueTask RequireReadableAsync(ImageBacking.Nbd backing, CancellationToken cancellationToken)
    {
        StorageDaemonSpec daemon = host.DaemonAt(backing.SocketPath)
            ?? throw new HypervisorException(HypervisorFault.Refused, $"Failed to connect to '{backing.SocketPath}'");
        StorageBacking.Nbd view = (StorageBacking.Nbd)daemon.Exports.Single(export => export.Name == backing.ExportName).Backing;
        try
        {
            await using NbdClient client = await NbdClient.ConnectAsync(
                await sockets.ConnectAsync(view.SocketPath, cancellationToken), new NbdClientOptions { Export = view.ExportName }, cancellationToken);
            await client.ReadAsync(0, new byte[512], cancellationToken);
        }
        catch (StorageException fault)
        {
            throw new HypervisorException(HypervisorFault.TimedOut, $"the guest cannot read its disk: {fault.Message}");
        }
    }

    private ModelDomain Domain(VmId vm) =>
        host.Domains.GetValueOrDefault(vm) ?? throw new HypervisorException(HypervisorFault.NoSuchVm, $"no VM {vm}");

    private ModelDomain Running(VmId vm) =>
        Domain(vm) is { Live: not null } running ? running : throw new HypervisorException(HypervisorFault.NotRunning, $"VM {vm} is off");
}
