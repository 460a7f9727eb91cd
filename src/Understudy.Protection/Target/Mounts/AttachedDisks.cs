using System.Xml.Linq;
using Understudy.Protection.Target.Definition;

namespace Understudy.Protection.Target.Mounts;

/// <summary>
/// Our disks at a VM that somebody else defined. Pure, text in, text out. They carry a name of ours (a user's alias), by which
/// they are found again and kept out of the VM's own protection; an error of theirs is the guest's to handle, as with any
/// disk that fails, and never stops it.
/// </summary>
/// <param name="Devices">Names they get at the VM, in the order of the mount's disks.</param>
internal sealed record AttachedDisks(IReadOnlyList<string> Devices, IReadOnlyList<string> Definitions)
{
    /// <summary>libvirt takes names of users' own only when they begin so.</summary>
    public const string AliasPrefix = "ua-understudy-";

    /// <summary>sda, sdb … sdz: a VM with more disks is none that a few more are given to.</summary>
    private const string Letters = "abcdefghijklmnopqrstuvwxyz";

    public static AttachedDisks Plan(string liveXml, MountRecord mount)
    {
        XElement devices = DomainTransformer.Parse(liveXml).Element("devices") ?? throw DomainTransformer.Unreadable("it has no devices");
        HashSet<string> taken = [.. devices.Elements("disk").Select(disk => (string?)disk.Element("target")?.Attribute("dev")).OfType<string>()];

        // Plugged into a SCSI controller a disk needs no slot, and the guest cannot keep it when it is pulled.
        bool scsi = devices.Elements("controller").Any(controller =>
            (string?)controller.Attribute("type") == "scsi" && ((string?)controller.Attribute("model"))?.StartsWith("virtio", StringComparison.Ordinal) == true);
        (string bus, string prefix) = scsi ? ("scsi", "sd") : ("virtio", "vd");
        List<string> names = [];
        List<string> definitions = [];
        foreach (MountDisk disk in mount.Disks)
        {
            string name = Letters.Select(letter => prefix + letter).FirstOrDefault(taken.Add)
                ?? throw new RefusedException(RefusalCode.NoSpace, $"VM {mount.ToVmName} has no name free for another disk.", "Mount the point on the host instead (understudy point mount).");
            names.Add(name);
            definitions.Add(Define(mount, disk, name, bus).ToString());
        }

        return new AttachedDisks(names, definitions);
    }

    /// <summary>Those of the mount's disks that the VM has now.</summary>
    public static IReadOnlyList<PluggedDisk> Find(string liveXml, MountRecord mount)
    {
        HashSet<string> ours = [.. mount.Disks.Select(disk => AliasOf(mount, disk))];
        List<PluggedDisk> found = [];
        foreach (XElement disk in DomainTransformer.Parse(liveXml).Element("devices")?.Elements("disk") ?? [])
        {
            if ((string?)disk.Element("alias")?.Attribute("name") is { } alias && ours.Contains(alias))
            {
                found.Add(new PluggedDisk((string?)disk.Element("target")?.Attribute("dev") ?? "", alias));
            }
        }

        return found;
    }

    private static XElement Define(MountRecord mount, MountDisk disk, string name, string bus) => new(
        "disk",
        new XAttribute("type", "file"),
        new XAttribute("device", "disk"),
        new XElement(
            "driver",
            new XAttribute("name", "qemu"),
            new XAttribute("type", "qcow2"),
            new XAttribute("cache", "none"),
            new XAttribute("error_policy", "report"),
            new XAttribute("discard", "unmap")),
        new XElement("source", new XAttribute("file", disk.Overlay!)), // An attachment always has overlays.
        new XElement("target", new XAttribute("dev", name), new XAttribute("bus", bus)),
        mount.Writable ? null : new XElement("readonly"),
        new XElement("serial", $"us-{mount.Id.ToString("N")[..8]}-{disk.TargetDevice}"),
        new XElement("alias", new XAttribute("name", AliasOf(mount, disk))));

    private static string AliasOf(MountRecord mount, MountDisk disk) => $"{AliasPrefix}{mount.Id:N}-{disk.TargetDevice}";
}

/// <param name="Name">At the guest.</param>
internal readonly record struct PluggedDisk(string Name, string Alias);
