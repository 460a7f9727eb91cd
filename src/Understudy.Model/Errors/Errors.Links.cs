using static Understudy.Model.ErrorKind;

namespace Understudy.Model;

/// <summary>What can be said no to about who dials whom (REG-3).</summary>
public static partial class Errors
{
    public static ErrorInfo SameSiteTwice(string site) => new(WrongUse, "link-same-site", $"{Quote(site)} is given twice",
        "The choice is between two sites; inside one the target of a VM always listens.", "Name two sites: `understudy site link ONE OTHER --listens ONE`.");

    public static ErrorInfo HostWithoutAddress(string host, string endpoint, string why) => new(Refused, "host-without-address", $"{host} has no address that other hosts could dial",
        $"It is said to be at {Quote(endpoint)}: {why}.", $"Set \"advertise\" in agent.json on {host} to NAME:PORT as other hosts reach it (`understudy agent --advertise` says it when joining), and start its agent anew.");

    public static ErrorInfo HostUnreachable(string host, string endpoint, string from, string why) => new(Refused, "host-unreachable", $"{host} cannot be dialled from {from}",
        $"It is said to be at {Quote(endpoint)}. {Sentence(why)}", $"Open that port from there; or, when the address is wrong, set \"advertise\" in agent.json on {host} (`understudy agent --advertise` says it when joining) and start its agent anew.");

    public static ErrorInfo SiteListensNowhere(string site, string vm) => new(Refused, "site-not-listening", $"The hosts of {site} would not listen, and {vm} needs one that does",
        "Inside one site the target of a VM listens, and for every other site that site is chosen to.", $"Let {site} listen for one of the others (`understudy site link`), or protect {vm} to another site.");
}
