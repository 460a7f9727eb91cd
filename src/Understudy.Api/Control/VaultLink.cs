using System.Globalization;
using System.Net.WebSockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Understudy.Api.Dialling;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <param name="Urls">The vault's addresses as in the key file; tried in order.</param>
/// <param name="Proxy">HTTP CONNECT proxy; null for none.</param>
/// <param name="ProxyExcept">What is dialled straight all the same, as in <see cref="ProxyChoice"/>; null means nothing.</param>
public sealed record VaultLinkSettings(IReadOnlyList<Uri> Urls, string CaCertificatePem, Uri? Proxy, IReadOnlyList<string>? ProxyExcept = null);

/// <summary>What the vault says of itself when it takes a connection.</summary>
/// <param name="Generation">Counts its restores; a lower one than seen before is an older vault come back.</param>
public sealed record VaultGreeting(Uri Url, long Generation, string Version);

/// <summary>The agent's side of a connection: where to dial, who it is, and whether that vault is to be obeyed.</summary>
public interface IVaultMember
{
    /// <summary>Asked for each round of attempts, so that a change is taken up without a restart.</summary>
    VaultLinkSettings Settings { get; }

    /// <summary>Asked for each connection, so that a renewed one is used.</summary>
    X509Certificate2 Certificate();

    /// <returns>Why not; null when the vault is to be obeyed. Durable before it returns.</returns>
    ValueTask<ErrorInfo?> MeetAsync(VaultGreeting vault, CancellationToken cancellationToken);
}

/// <summary>
/// The agent's standing connection to the vault: dials out, says hello with all its state, sends news, answers requests,
/// and dials again after 1, 2, 4, 8, then each 10 s. Replication needs none of this.
/// </summary>
public sealed class VaultLink
{
    private static readonly TimeSpan[] _pauses =
        [TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(4), TimeSpan.FromSeconds(8), TimeSpan.FromSeconds(10)];

    private static readonly TimeSpan _connectLimit = TimeSpan.FromSeconds(15);

    private readonly IVaultMember _member;
    private readonly Func<CancellationToken, ValueTask<AgentHello>> _hello;
    private readonly AgentOperations _operations;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly PushQueue _news = new();
    private volatile bool _connected;
    private volatile ErrorInfo? _fault;
    private volatile string? _version;
    private volatile VaultLinkSettings? _through;
    private volatile CancellationTokenSource? _attempt;

    /// <param name="hello">The agent's whole state, asked for each connection.</param>
    public VaultLink(
        IVaultMember member,
        Func<CancellationToken, ValueTask<AgentHello>> hello,
        AgentOperations operations,
        TimeProvider time,
        ILogger logger)
    {
        _member = member;
        _hello = hello;
        _operations = operations;
        _time = time;
        _logger = logger;
    }

    public bool Connected => _connected;

    /// <summary>Posts what has changed, before an operation is answered. Set once, before <see cref="RunAsync"/>; does not throw.</summary>
    public Action Tell { get; set; } = () => { };

    /// <summary>By which settings the vault is reached now; null while it is not.</summary>
    public VaultLinkSettings? Through => _through;

    /// <summary>For whoever asks on the host itself. Written by the link's own loop.</summary>
    public VaultConnection State => new(_connected, [.. _member.Settings.Urls.Select(url => url.ToString())], _connected ? null : _fault, _version);

    public void Post(HostFacts facts) => PostState("host", AgentPushes.Host, facts);

    public void Post(Inventory inventory) => PostState("inventory", AgentPushes.Inventory, inventory);

    public void Post(SourceReport report) => PostState($"source/{report.Vm}", AgentPushes.Source, report);

    public void Post(TargetReport report) => PostState($"target/{report.Replica}", AgentPushes.Target, report);

    public void Post(ReplicaUnavailable replica) => PostState($"unavailable/{replica.Vm}", AgentPushes.Unavailable, replica);

    /// <summary>Kept in memory until the vault has it, up to <see cref="PushQueue.MaxEvents"/>.</summary>
    public void Post(AgentEvent news) => _news.PostEvent(Push(AgentPushes.Event, news));

    /// <summary>Ends the connection or the pause before the next one, and dials anew by the settings as they are then. News stay queued.</summary>
    public void Redial()
    {
        try
        {
            _attempt?.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // That attempt has just ended; the next one reads the settings anew.
        }
    }

    /// <summary>Runs until the token ends it.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        int failures = 0;
        while (true)
        {
            VaultLinkSettings settings = _member.Settings;
            foreach (Uri url in settings.Urls)
            {
                using CancellationTokenSource attempt = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                _attempt = attempt;
                (bool connected, ErrorInfo why) = await RunOnceAsync(url, settings, attempt.Token);
                if (cancellationToken.IsCancellationRequested)
                {
                    return;
                }

                if (attempt.IsCancellationRequested)
                {
                    failures = 0;
                    break; // by new settings, from the first address on
                }

                _fault = why;
                TimeSpan pause = _pauses[connected ? failures = 0 : Math.Min(failures++, _pauses.Length - 1)];
                ControlLog.Disconnected(_logger, url, why.ToString(), pause);
                await Task.Delay(pause, _time, attempt.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (attempt.IsCancellationRequested)
                {
                    break;
                }
            }
        }
    }

    private async Task<(bool Connected, ErrorInfo Why)> RunOnceAsync(Uri url, VaultLinkSettings settings, CancellationToken cancellationToken)
    {
        using ClientWebSocket socket = new();
        socket.Options.AddSubProtocol(ControlLimits.Subprotocol);
        socket.Options.CollectHttpResponseDetails = true; // a refusal says why in a header
        socket.Options.KeepAliveInterval = TimeSpan.Zero; // the channel has its own heartbeat
        using SocketsHttpHandler handler = PinnedTls.Handler(settings.CaCertificatePem, _member.Certificate(), new ProxyChoice(settings.Proxy, settings.ProxyExcept ?? []));
        using HttpMessageInvoker invoker = new(handler, disposeHandler: false);
        try
        {
            using CancellationTokenSource limit = new(_connectLimit, _time);
            using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            _news.ForgetStates();
            AgentHello hello = await _hello(either.Token);
            await socket.ConnectAsync(ControlUri(url), invoker, either.Token);
            VaultGreeting greeting = Greeting(socket, url);
            _version = greeting.Version;
            if (await _member.MeetAsync(greeting, either.Token) is { } refused)
            {
                return (false, refused);
            }

            return (true, Errors.VaultUnreachable(url.ToString(), await RunConnectionAsync(socket, url, settings, hello, cancellationToken)));
        }
        catch (OperationCanceledException)
        {
            return (false, Errors.VaultUnreachable(url.ToString(), "no connection in time"));
        }
        catch (StorageException notKept)
        {
            return (false, AgentErrors.From(notKept).Error); // what it learnt of the vault; a full disk may have room again
        }
        catch (WebSocketException fault)
        {
            return (false, Refusal(socket) ?? PinnedTls.RefusalIn(fault) ?? Errors.VaultUnreachable(url.ToString(), fault.InnerException?.Message ?? fault.Message));
        }
    }

    private static VaultGreeting Greeting(ClientWebSocket socket, Uri url) => new(
        url,
        long.TryParse(Header(socket, ControlLimits.GenerationHeader), NumberStyles.None, CultureInfo.InvariantCulture, out long generation) ? generation : 0,
        Header(socket, ControlLimits.VersionHeader) ?? "unknown");

    private static string? Header(ClientWebSocket socket, string name) =>
        socket.HttpResponseHeaders is { } headers && headers.TryGetValue(name, out IEnumerable<string>? values) ? values.FirstOrDefault() : null;

    /// <summary>What the vault said instead of taking the connection; null when it said nothing we know.</summary>
    private static ErrorInfo? Refusal(ClientWebSocket socket) =>
        Header(socket, ControlLimits.ErrorHeader) switch
        {
            var code when code == Errors.HostRemoved.Code => Errors.HostRemoved,
            var code when code == Errors.CertificateOfAnotherVault("").Code => Errors.CertificateOfAnotherVault("This host"),
            var code when code == Errors.VersionMismatch("", "", "").Code => Errors.VersionMismatch("The vault", "another", ControlLimits.Subprotocol),
            _ => null,
        };

    private async Task<string> RunConnectionAsync(ClientWebSocket socket, Uri url, VaultLinkSettings settings, AgentHello hello, CancellationToken cancellationToken)
    {
        using ControlConnection connection = new(socket, new AnswersAfterNews(_operations, Tell, _news), _time, _logger);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<string> running = connection.RunAsync(stop.Token);
        ControlLog.Connected(_logger, url);
        await connection.PushAsync(AgentPushes.Hello, hello);
        _connected = true;
        _through = settings;
        Task sending = SendNewsAsync(connection, stop.Token);
        string why = await running;
        _connected = false;
        _through = null;
        await stop.CancelAsync();
        await sending;
        return why;
    }

    private async Task SendNewsAsync(ControlConnection connection, CancellationToken stop)
    {
        try
        {
            while (true)
            {
                PushMessage push = await _news.PeekAsync(stop);
                if (!await connection.PushAsync(push))
                {
                    return;
                }

                _news.Sent(push);
            }
        }
        catch (OperationCanceledException)
        {
            // The connection is over; what is queued goes on the next one.
        }
    }

    private void PostState<TBody>(string key, PushKind<TBody> kind, TBody body) => _news.PostState(key, Push(kind, body));

    private static PushMessage Push<TBody>(PushKind<TBody> kind, TBody body) => new(kind.Name, JsonSerializer.SerializeToElement(body, kind.Body));

    private static Uri ControlUri(Uri url) => new UriBuilder(url) { Scheme = "wss", Path = ControlLimits.Path }.Uri;
}
