using System.Xml.Linq;
using Understudy.Libvirt.Capture;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Xml;

/// <summary>What a pull backup is asked with, and what a running one says. Pure.</summary>
internal static class BackupXml
{
    /// <summary>A disk that the older checkpoint does not know is captured in full beside the others.</summary>
    public static string Begin(ScratchNames names, string? since, IReadOnlyList<CaptureDisk> disks) =>
        new XElement(
            "domainbackup",
            new XAttribute("mode", "pull"),
            since is null ? null : new XElement("incremental", since),
            new XElement("server", new XAttribute("transport", "unix"), new XAttribute("socket", names.Socket)),
            new XElement("disks", disks.Select(disk => new XElement(
                "disk",
                new XAttribute("name", disk.TargetDevice),
                new XAttribute("backup", "yes"),
                new XAttribute("type", "file"),
                new XAttribute("exportname", disk.TargetDevice),
                since is null || disk.WantsChanges ? null : new XAttribute("backupmode", "full"),
                new XElement("scratch", new XAttribute("file", names.ScratchOf(disk.TargetDevice)))))))
        .ToString(SaveOptions.DisableFormatting);

    public static string Checkpoint(string name, IReadOnlyList<string> targetDevices) =>
        new XElement(
            "domaincheckpoint",
            new XElement("name", name),
            new XElement("disks", targetDevices.Select(disk => new XElement(
                "disk", new XAttribute("name", disk), new XAttribute("checkpoint", "bitmap")))))
        .ToString(SaveOptions.DisableFormatting);

    /// <summary>The socket of a running pull backup: with its name one sees whose it is. Null for a push backup or TCP.</summary>
    public static string? ReadSocket(string xml) => SafeXml.Parse(xml).Element("server").Text("socket");

    /// <summary>The metadata context of a disk's changes; libvirt chooses the name.</summary>
    public static string DirtyContext(string targetDevice) => $"qemu:dirty-bitmap:backup-{targetDevice}";
}
