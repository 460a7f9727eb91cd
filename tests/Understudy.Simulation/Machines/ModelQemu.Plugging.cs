using System.Xml.Linq;
using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Simulation.Machines;

/// <summary>Disks that come to a running VM and leave it again; its definition does not know them.</summary>
internal sealed partial class ModelQemu
{
    public Task PlugAsync(string diskXml) => (Process ?? throw Refused("no process")).InvokeAsync(() => PlugInQemuAsync(XElement.Parse(diskXml)));

    /// <summary>The guest is asked, and lets go or does not.</summary>
    public async Task RequestUnplugAsync(string alias)
    {
        if (Disks.Find(disk => disk.Alias == alias) is { } plugged && State == VmRunState.Running && _machine.LetsGo())
        {
            Disks.Remove(plugged);
            LiveXml = DomainXml.Without(LiveXml, plugged.Target);
            _machine.Trace("unplugged", plugged.Active.Path);
            await plugged.Chain.CloseAsync();
        }
    }

    private async Task<bool> PlugInQemuAsync(XElement disk)
    {
        string target = (string?)disk.Element("target")?.Attribute("dev") ?? "";
        if (Disks.Exists(other => other.Target == target))
        {
            throw Refused($"target {target} already exists");
        }

        ModelImage image = _machine.Image((string?)disk.Element("source")?.Attribute("file") ?? "");
        var plugged = new QemuDisk(target, image, new ImageChain(_machine, Process ?? throw Refused("no process"))) { Alias = (string?)disk.Element("alias")?.Attribute("name") };
        try
        {
            await plugged.Chain.OpenAsync(image, forWriting: disk.Element("readonly") is null, this);
        }
        catch (StorageException refused)
        {
            throw Refused(refused.Message);
        }

        Disks.Add(plugged);
        LiveXml = DomainXml.With(LiveXml, disk);
        _machine.Trace("plugged in", image.Path);
        return true;
    }
}
