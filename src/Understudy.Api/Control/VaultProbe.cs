using Understudy.Api.Dialling;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>Whether this agent's vault answers at an address, by the agent's own way; the connection that stands is not touched.</summary>
public static class VaultProbe
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    /// <returns>Why not; null when the server there has a certificate of the vault's authority and answers.</returns>
    public static async Task<ErrorInfo?> AskAsync(Uri url, IVaultMember member, TimeProvider time, CancellationToken cancellationToken)
    {
        VaultLinkSettings settings = member.Settings;
        using SocketsHttpHandler handler = PinnedTls.Handler(settings.CaCertificatePem, member.Certificate(), new ProxyChoice(settings.Proxy, settings.ProxyExcept ?? []));
        using HttpClient client = new(handler, disposeHandler: false) { Timeout = Timeout.InfiniteTimeSpan }; // the limit below
        using CancellationTokenSource limit = new(Limit, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            // Whatever it answers: who it is has been seen by then, and a plain call begins no connection of an agent.
            using HttpResponseMessage answer = await client.GetAsync(new Uri(url, ControlLimits.Path), HttpCompletionOption.ResponseHeadersRead, either.Token);
            return null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return Errors.VaultUnreachable(url.ToString(), "no connection in time");
        }
        catch (HttpRequestException fault)
        {
            return PinnedTls.RefusalIn(fault) ?? Errors.VaultUnreachable(url.ToString(), fault.InnerException?.Message ?? fault.Message);
        }
    }
}
