using Understudy.Agent.Guard;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Protection.Target;

namespace Understudy.Agent;

/// <summary>The files of an agent that has ended, taken away for good. Disks of VMs and logs of guests are not among them.</summary>
internal sealed class AgentLeaving(string dataFolder, AgentConfig config)
{
    private static readonly string[] _ownFolders = ["guard", "outcomes", "vault-copies", AgentHost.DeparturesFolder];
    private static readonly string[] _ownFiles = ["agent.json", "identity.json", AgentLock.FileName];

    /// <summary>What nobody watches over once this agent has gone: old VMs of this host that the other side owns, and old sources
    /// that only this host would tell that their VM came to stay here.</summary>
    public async Task<IReadOnlyList<string>> ListUnwatchedAsync(ILogger logger, CancellationToken cancellationToken)
    {
        string departures = Path.Combine(dataFolder, AgentHost.DeparturesFolder);
        IReadOnlyList<DepartureNotice> untold = Directory.Exists(departures)
            ? await new DepartureNotices(new FolderStore(departures), TimeProvider.System, logger).ListAsync(cancellationToken)
            : [];
        return
        [
            .. VmFolders(config.SpoolFolder).Select(folder => $"VM {Path.GetFileName(folder)}: the other side owns it; from then on anything may start the old VM here"),
            .. untold.Select(notice => $"VM {notice.Vm}: it came to stay here, and its old source has not heard of it; should that come back, nobody here tells it to keep its copy still"),
        ];
    }

    /// <exception cref="ErrorException">Something here is an agent's to remove: it knows the hypervisor.</exception>
    public void RequireNothingHeld()
    {
        string? held = VmFolders(config.ReplicasFolder).FirstOrDefault() ?? VmFolders(config.SpoolFolder).FirstOrDefault(SourceOrder.Stands);
        if (held is not null)
        {
            throw new ErrorException(Errors.HostHolds(held));
        }
    }

    public void Remove()
    {
        new GuardInstaller(HostServices.GuardFolderOf(dataFolder), config.HooksFolder, HostBoot.Read()).Remove();
        foreach (string folder in (IEnumerable<string>)[.. VmFolders(config.SpoolFolder), config.ScratchFolder, .. _ownFolders.Select(name => Path.Combine(dataFolder, name))])
        {
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        foreach (string file in (IEnumerable<string>)
            [Path.Combine(config.ReplicasFolder, ReplicasLock.FileName), config.LocalSocket, Path.Combine(config.RunFolder, AgentLock.FileName), .. _ownFiles.Select(name => Path.Combine(dataFolder, name))])
        {
            if (File.Exists(file)) // its folder may be gone, as /run is after a boot
            {
                File.Delete(file);
            }
        }

        foreach (string folder in (IEnumerable<string>)[config.ReplicasFolder, config.SpoolFolder, config.ImagesFolder, config.RunFolder, dataFolder])
        {
            ReplicaFolders.RemoveEmpty(folder);
        }
    }

    private static IEnumerable<string> VmFolders(string parent) => !Directory.Exists(parent) ? []
        : Directory.EnumerateDirectories(parent)
            .Where(folder => VmId.TryParse(Path.GetFileName(folder), out _) && Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Any())
            .Order(StringComparer.Ordinal);
}
