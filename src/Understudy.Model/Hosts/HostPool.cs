namespace Understudy.Model;

/// <summary>A storage pool of a host, as its hypervisor knows it.</summary>
/// <param name="Path">Folder of a pool that is one; null for pools of volumes, devices and objects.</param>
/// <param name="FreeBytes">Zero where it cannot be said.</param>
public sealed record HostPool(string Name, string Type, string? Path, bool Active, long FreeBytes, long TotalBytes)
{
    /// <summary>Said instead of a pool: the agent's own folders.</summary>
    public const string None = "none";

    private static readonly string[] _folders = ["dir", "fs", "netfs"];

    /// <summary>Replicas live in folders.</summary>
    public bool IsFolder => Path is not null && _folders.Contains(Type);
}

/// <summary>Where replicas go of VMs whose disks are in a pool of the source site.</summary>
public sealed record StorageMapping(SiteId SourceSite, string SourcePool, SiteId TargetSite, string TargetPool);
