using System.Net;

namespace Understudy.Api.Dialling;

/// <summary>Which dials go through a proxy: all when there is one, but to what is excepted, and to this host itself.</summary>
/// <param name="Proxy">http or https, may hold a user's name and password; null for none.</param>
/// <param name="Except">Names, suffixes of names that begin with a dot, addresses, and networks such as 10.0.0.0/8. Names are
/// compared as they are dialled: nothing is looked up for it.</param>
public sealed record ProxyChoice(Uri? Proxy, IReadOnlyList<string> Except)
{
    public static ProxyChoice None { get; } = new(null, []);

    /// <summary>Null when the host is dialled straight.</summary>
    public Uri? For(string host) => Proxy is null || IsLocal(host) || Except.Any(exception => Covers(exception, host)) ? null : Proxy;

    /// <returns>Why it can except nothing; null when it can.</returns>
    public static string? WhyNot(string exception) => exception switch
    {
        "" => "it is empty",
        _ when exception.Contains('/') => IPNetwork.TryParse(exception, out _) ? null : "a network is written ADDRESS/BITS",
        _ when IPAddress.TryParse(exception, out _) => null,
        _ when Uri.CheckHostName(exception.TrimStart('.')) == UriHostNameType.Dns => null,
        _ => "it is no name, no address and no network",
    };

    private static bool IsLocal(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out IPAddress? address) && IPAddress.IsLoopback(address));

    private static bool Covers(string exception, string host)
    {
        if (IPAddress.TryParse(host, out IPAddress? address))
        {
            return exception.Contains('/')
                ? IPNetwork.TryParse(exception, out IPNetwork network) && network.Contains(address)
                : IPAddress.TryParse(exception, out IPAddress? one) && one.Equals(address);
        }

        return exception.StartsWith('.')
            ? host.EndsWith(exception, StringComparison.OrdinalIgnoreCase)
            : host.Equals(exception, StringComparison.OrdinalIgnoreCase);
    }
}
