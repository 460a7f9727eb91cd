using System.Xml.Linq;

namespace Understudy.Protection.Target.Definition;

/// <summary>What of a VM is of its host's, and does not come with it to another: said before a failover by the rule that
/// carries it out.</summary>
public static class SourceThings
{
    /// <param name="domain">A libvirt definition.</param>
    public static IReadOnlyList<string> LeftBehind(XElement domain) => DeviceRules.LeftBehind(domain.Element("devices"));
}
