using System.Xml.Linq;
using Understudy.Blocks.Identity;
using Understudy.Simulation.Models;

namespace Understudy.Simulation.Machines;

/// <summary>What the model reads of a domain's definition, and the definition of a VM at its source.</summary>
internal static class DomainXml
{
    /// <summary>Images by target device, in the definition's order.</summary>
    public static IReadOnlyList<(string Target, string Path)> Disks(string xml) =>
        [.. (XElement.Parse(xml).Element("devices")?.Elements("disk") ?? []).Select(disk => (TargetOf(disk), (string?)disk.Element("source")?.Attribute("file") ?? ""))];

    public static (VmId Id, string Name) Identity(string xml)
    {
        XElement domain = XElement.Parse(xml);
        return (new VmId(Guid.Parse(domain.Element("uuid")?.Value ?? "")), domain.Element("name")?.Value ?? "");
    }

    public static string Moved(string xml, string target, string path)
    {
        XElement domain = XElement.Parse(xml);
        XElement? disk = domain.Element("devices")?.Elements("disk").FirstOrDefault(d => TargetOf(d) == target);
        disk?.Element("source")?.SetAttributeValue("file", path);
        return domain.ToString();
    }

    public static string With(string xml, XElement disk)
    {
        XElement domain = XElement.Parse(xml);
        domain.Element("devices")?.Add(disk);
        return domain.ToString();
    }

    public static string Without(string xml, string target)
    {
        XElement domain = XElement.Parse(xml);
        domain.Element("devices")?.Elements("disk").FirstOrDefault(d => TargetOf(d) == target)?.Remove();
        return domain.ToString();
    }

    /// <summary>A VM of somebody else, without disks.</summary>
    public static string Bystander(Blocks.Identity.VmId id, string name) => $"<domain type='kvm'><name>{name}</name><uuid>{id}</uuid><devices/></domain>";

    /// <summary>The devices of a VM at its source.</summary>
    public static string Devices(ModelVm vm) =>
        "<os><type arch='x86_64' machine='pc-q35-9.2'>hvm</type></os><memory unit='MiB'>64</memory><vcpu>1</vcpu><devices>"
        + string.Concat(Enumerable.Range(0, vm.Disks.Count).Where(vm.IsPlugged).Select(i =>
            $"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{SourceImage(vm.Name, i)}'/><target dev='{vm.Targets[i]}' bus='virtio'/></disk>"))
        + $"<interface type='network'><mac address='{Mac}'/><source network='office'/><model type='virtio'/></interface></devices>";

    public static string SourceImage(string vmName, int disk) => $"/images/{vmName}-{disk}.qcow2";

    public const string Mac = "52:54:00:aa:bb:01";

    public static string TargetOf(ModelVm vm, int disk) => vm.Targets[disk];

    private static string TargetOf(XElement disk) => (string?)disk.Element("target")?.Attribute("dev") ?? "";
}
