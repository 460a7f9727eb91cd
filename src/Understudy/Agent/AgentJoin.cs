using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Understudy.Api.Registration;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>What the command line says about this host when it joins.</summary>
internal sealed record AgentJoinOptions(
    string KeyFile,
    string DataFolder,
    string? DisplayName,
    string Listen,
    string? Advertise,
    string LibvirtUri,
    string? ReplicasFolder,
    string? ImagesFolder,
    string? SpoolFolder,
    string RunFolder,
    string? Proxy);

/// <summary>Joins this host to a vault (REG-2): own key, certificate signed by the vault, configuration written last.</summary>
internal static class AgentJoin
{
    public static async Task<AgentConfig> JoinAsync(AgentJoinOptions options, CancellationToken cancellationToken)
    {
        if (File.Exists(AgentConfig.FilePath(options.DataFolder)))
        {
            throw new ErrorException(new ErrorInfo(
                ErrorKind.Refused, "agent-joined-already", "This host has joined a vault already",
                $"{AgentConfig.FilePath(options.DataFolder)} names it.", "Start the agent without --join, or remove the host and its data folder first."));
        }

        RegistrationKeyFile key = RegistrationKeyFile.Read(options.KeyFile);
        int port = EndPoint(options.Listen).Port;
        string advertise = options.Advertise ?? $"{FullHostName()}:{port}";
        PrepareFolders(options);

        (string keyPem, string requestPem) = AgentIdentity.NewRequest(options.DisplayName ?? FullHostName());
        JoinDto request = new(
            key.Secret, FullHostName(), options.DisplayName, AgentVersion.Text, advertise, [.. CertificateNames(advertise)], requestPem);
        (JoinedDto joined, string url) = await AskAsync(key, request, cancellationToken);

        new AgentIdentity(options.DataFolder).Store(keyPem, joined.Certificate, joined.CaCertificate);
        AgentConfig config = new()
        {
            HostId = joined.HostId,
            Name = joined.Name,
            Site = joined.Site,
            VaultUrls = [url, .. key.Urls.Where(u => u != url)],
            Proxy = options.Proxy,
            Listen = options.Listen,
            Advertise = advertise,
            LibvirtUri = options.LibvirtUri,
            ReplicasFolder = options.ReplicasFolder ?? Path.Combine(options.DataFolder, "replicas"),
            ImagesFolder = options.ImagesFolder ?? Path.Combine(options.DataFolder, "images"),
            SpoolFolder = options.SpoolFolder ?? Path.Combine(options.DataFolder, "spool"),
            RunFolder = options.RunFolder,
        };
        config.Write(options.DataFolder);
        return config;
    }

    /// <exception cref="ErrorException">The text is not "address:port".</exception>
    public static IPEndPoint EndPoint(string listen) =>
        IPEndPoint.TryParse(listen, out IPEndPoint? endPoint) && endPoint.Port != 0
            ? endPoint
            : throw new ErrorException(Errors.BadValue("--listen", listen, "it is written ADDRESS:PORT, e.g. 0.0.0.0:7443"));

    private static async Task<(JoinedDto Joined, string Url)> AskAsync(RegistrationKeyFile key, JoinDto request, CancellationToken cancellationToken)
    {
        ErrorException? last = null;
        foreach (string url in key.Urls)
        {
            using VaultClient vault = VaultClient.Create(new Uri(url), "", key.CaCertificate);
            try
            {
                return (await vault.JoinAsync(request, cancellationToken), url);
            }
            catch (ErrorException e) when (e.Error.Code == "vault-unreachable")
            {
                last = e; // The next address may do; a vault that answers "no" has answered.
            }
        }

        throw last ?? new ErrorException(Errors.BadValue("key file", "urls", "it names no address of the vault"));
    }

    private static void PrepareFolders(AgentJoinOptions options)
    {
        try
        {
            Directory.CreateDirectory(options.DataFolder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ErrorException(Errors.BadValue("--data", options.DataFolder, e.Message), e);
        }
    }

    private static IEnumerable<string> CertificateNames(string advertise)
    {
        yield return advertise[..advertise.LastIndexOf(':')].Trim('[', ']');
        yield return FullHostName();
        foreach (UnicastIPAddressInformation address in NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(n => n.GetIPProperties().UnicastAddresses)
            .Where(a => a.Address.AddressFamily == AddressFamily.InterNetwork || !a.Address.IsIPv6LinkLocal))
        {
            yield return address.Address.ToString();
        }
    }

    private static string FullHostName()
    {
        try
        {
            return Dns.GetHostEntry(Dns.GetHostName()).HostName;
        }
        catch (SocketException)
        {
            return Dns.GetHostName();
        }
    }
}
