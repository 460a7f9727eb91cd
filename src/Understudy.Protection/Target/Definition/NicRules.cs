using System.Xml.Linq;

namespace Understudy.Protection.Target.Definition;

/// <summary>Network cards: the guest's side (model, bus address, MAC, boot order) stays, the host's side is new.</summary>
internal static class NicRules
{
    private static readonly string[] GuestSide = ["mac", "model", "address", "boot", "link", "mtu", "driver", "rom", "acpi", "bandwidth", "coalesce"];

    public static void Apply(XElement devices, NetworkPlacement placement, string vmName, List<string> notes)
    {
        foreach (XElement card in devices.Elements("interface").ToArray())
        {
            CardPlan plan = PlanFor(card, placement, vmName);
            if (plan.Network is null)
            {
                card.Remove();
                notes.Add($"Network card {plan.Mac} was left out.");
            }
            else
            {
                Plug(card, plan.Network, plan.NewMac, notes);
            }
        }
    }

    /// <summary>The network a card is plugged in at the source, by the name mappings use; null when it has none.</summary>
    public static string? NetworkOf(XElement card)
    {
        XElement? source = card.Element("source");
        return (string?)source?.Attribute("network") ?? (string?)source?.Attribute("bridge") ?? (string?)source?.Attribute("dev");
    }

    private static CardPlan PlanFor(XElement card, NetworkPlacement placement, string vmName)
    {
        string mac = (string?)card.Element("mac")?.Attribute("address") ?? "without address";
        switch (placement)
        {
            case NetworkPlacement.None:
                return new CardPlan(mac, null);
            case NetworkPlacement.All all:
                return new CardPlan(mac, all.Network);
            case NetworkPlacement.Planned planned:
                if (planned.Cards.FirstOrDefault(card => string.Equals(card.Mac, mac, StringComparison.OrdinalIgnoreCase)) is { } plan)
                {
                    return plan;
                }

                if (planned.Rest is { } rest)
                {
                    return PlanFor(card, rest, vmName);
                }

                string? network = NetworkOf(card);
                string shown = network ?? $"of type {(string?)card.Attribute("type") ?? "unknown"}, without a name";
                throw new RefusedException(
                    RefusalCode.NetworkUnmapped,
                    $"{vmName}: network card {mac} is on the source network '{shown}', and nothing says which network of this site stands for it.",
                    $"Map it (understudy network map {network ?? "NETWORK"} --to NETWORK), or name a network for this run.");
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private static void Plug(XElement card, string network, string? newMac, List<string> notes)
    {
        if (card.Elements("filterref").Any())
        {
            notes.Add($"Packet filter {(string?)card.Element("filterref")?.Attribute("filter")} of a network card was left out.");
        }

        card.Elements().Where(element => !GuestSide.Contains(element.Name.LocalName)).Remove();
        card.RemoveAttributes();
        card.SetAttributeValue("type", "network");
        card.Add(new XElement("source", new XAttribute("network", network)));
        if (newMac is not null)
        {
            card.Element("mac")?.SetAttributeValue("address", newMac);
        }
    }
}
