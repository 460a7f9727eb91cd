using System.Xml.Linq;
using Understudy.Protection.Target.Definition;

namespace Understudy.Protection.Target.Runs;

/// <summary>Reads from a definition where a failed-over VM's disks are.</summary>
internal static class DiskPlaces
{
    public static DiskPlace PlaceOf(string domainXml, FailoverDisk disk)
    {
        XElement? found = DomainTransformer.Parse(domainXml).Element("devices")?.Elements("disk")
            .FirstOrDefault(element => (string?)element.Element("target")?.Attribute("dev") == disk.TargetDevice);
        if (found is null)
        {
            return DiskPlace.Missing;
        }

        string? file = (string?)found.Element("source")?.Attribute("file");
        return file switch
        {
            _ when file == disk.Overlay => DiskPlace.OnOverlay,
            _ when file == disk.SecondOverlay => DiskPlace.OnSecondOverlay,
            _ when file == disk.Base => DiskPlace.OnBase,
            _ => DiskPlace.Elsewhere,
        };
    }
}
