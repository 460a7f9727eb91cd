using System.Xml.Linq;

namespace Understudy.Protection.Target.Definition;

/// <summary>Network cards: the guest's side (model, bus address, MAC, boot order) stays, the host's side is new.</summary>
internal static class NicRules
{
    private static readonly string[] GuestSide = ["mac", "model", "address", "boot", "link", "mtu", "driver", "rom", "acpi", "bandwidth", "coalesce"];

    public static void Apply(XElement devices, NetworkPlacement placement, string vmName, List<string> notes)
    {
        XElement[] cards = [.. devices.Elements("interface")];
        if (placement is NetworkPlacement.None)
        {
            cards.Remove();
            if (cards.Length > 0)
            {
                notes.Add("The network cards were left out.");
            }

            return;
        }

        foreach (XElement card in cards)
        {
            (string network, IReadOnlyDictionary<string, string> newMacs) = Destination(card, placement, vmName);
            Plug(card, network, newMacs, notes);
        }
    }

    /// <summary>The network a card is plugged in at the source, by the name mappings use; null when it has none.</summary>
    public static string? NetworkOf(XElement card)
    {
        XElement? source = card.Element("source");
        return (string?)source?.Attribute("network") ?? (string?)source?.Attribute("bridge") ?? (string?)source?.Attribute("dev");
    }

    private static (string Network, IReadOnlyDictionary<string, string> NewMacs) Destination(XElement card, NetworkPlacement placement, string vmName)
    {
        switch (placement)
        {
            case NetworkPlacement.All all:
                return (all.Network, all.NewMacs);
            case NetworkPlacement.Mapped mapped:
                string mac = (string?)card.Element("mac")?.Attribute("address") ?? "without address";
                string? network = NetworkOf(card);
                if (network is not null && mapped.Map.TryGetValue(network, out NetworkMapping? mapping))
                {
                    return (mapping.TargetNetwork, mapping.NewMacs);
                }

                string shown = network ?? $"of type {(string?)card.Attribute("type") ?? "unknown"}, without a name";
                throw new RefusedException(
                    RefusalCode.NetworkUnmapped,
                    $"{vmName}: network card {mac} is on the source network '{shown}', and nothing says which network of this site stands for it.",
                    $"Map it (understudy network map {network ?? "NETWORK"} --to NETWORK), or name a network for this run.");
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private static void Plug(XElement card, string network, IReadOnlyDictionary<string, string> newMacs, List<string> notes)
    {
        if (card.Elements("filterref").Any())
        {
            notes.Add($"Packet filter {(string?)card.Element("filterref")?.Attribute("filter")} of a network card was left out.");
        }

        string? mac = (string?)card.Element("mac")?.Attribute("address");
        card.Elements().Where(element => !GuestSide.Contains(element.Name.LocalName)).Remove();
        card.RemoveAttributes();
        card.SetAttributeValue("type", "network");
        card.Add(new XElement("source", new XAttribute("network", network)));
        if (mac is not null && newMacs.TryGetValue(mac, out string? newMac))
        {
            card.Element("mac")!.SetAttributeValue("address", newMac); // Not null: mac came from it.
        }
    }
}
