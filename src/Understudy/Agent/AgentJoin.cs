using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Understudy.Api.Dialling;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>Joins this host to a vault (REG-2): own key, certificate signed by the vault; the configuration first, so that
/// a key is used up only when what it gives can be kept.</summary>
internal static class AgentJoin
{
    public static async Task<AgentMembership> JoinAsync(string keyFile, string dataFolder, string? displayName, AgentConfig config, CancellationToken cancellationToken)
    {
        RegistrationKeyFile key = RegistrationKeyFile.Read(keyFile);
        _ = EndPoint(config.Listen);
        string? proxy = config.Proxy is { } given ? ProxyState.Checked(given) : null;
        config = config with { Proxy = proxy, Visible = VmRule.Parse("--visible", config.Visible).Text };
        FolderStore store = OpenFolder(dataFolder);
        if (await AgentMembership.LoadAsync(store, cancellationToken) is { } before)
        {
            throw new ErrorException(new ErrorInfo(
                ErrorKind.Refused, "agent-joined-already", "This host has joined a vault already",
                $"{dataFolder} holds the identity of {before.Name} at {before.VaultUrls[0]}.",
                "Start the agent without --join. To change the vault: `understudy host remove` there, then `understudy agent leave` here; its folders hold disks of VMs that run, so delete none by hand."));
        }

        await config.WriteAsync(store, cancellationToken);
        JoinOptions options = new(
            FullHostName(), displayName, AgentVersion.Text, config.Advertise, [.. CertificateNames(config.Advertise)],
            new ProxyChoice(proxy is null ? null : new Uri(proxy), config.ProxyExcept));
        AgentMembership joined = await AgentMembership.JoinAsync(key, options, cancellationToken);
        await joined.SaveAsync(store, cancellationToken);
        return joined;
    }

    /// <exception cref="ErrorException">The text is not "address:port".</exception>
    public static IPEndPoint EndPoint(string listen) =>
        IPEndPoint.TryParse(listen, out IPEndPoint? endPoint) && endPoint.Port != 0
            ? endPoint
            : throw new ErrorException(Errors.BadValue("--listen", listen, "it is written ADDRESS:PORT, e.g. 0.0.0.0:7443"));

    public static string FullHostName()
    {
        try
        {
            return Dns.GetHostEntry(Dns.GetHostName()).HostName;
        }
        catch (SocketException)
        {
            return Dns.GetHostName(); // Its own name is not in DNS: the short one has to do.
        }
    }

    private static FolderStore OpenFolder(string dataFolder)
    {
        try
        {
            return new FolderStore(Directory.CreateDirectory(dataFolder).FullName);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ErrorException(Errors.BadValue("--data", dataFolder, e.Message), e);
        }
    }

    private static IEnumerable<string> CertificateNames(string advertise)
    {
        yield return advertise[..advertise.LastIndexOf(':')].Trim('[', ']');
        yield return FullHostName();
        foreach (UnicastIPAddressInformation address in NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(n => n.GetIPProperties().UnicastAddresses)
            .Where(a => !a.Address.IsIPv6LinkLocal))
        {
            yield return address.Address.ToString();
        }
    }
}
