using System.Net;
using System.Security.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Understudy.Api.Json;
using Understudy.Api.Rest;
using Understudy.Blocks.Storage;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Backup;
using Understudy.Vault.Jobs;
using Understudy.Vault.Protection;
using Understudy.Vault.Rest;
using Understudy.Vault.Security;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault;

/// <summary>
/// The vault: REST, the agents' control channel and the OpenAPI document on one TLS 1.3 port, jobs that go on where they
/// were, all state in one data folder. It never sits in the path of replication.
/// </summary>
public sealed partial class VaultServer : IAsyncDisposable
{
    /// <summary>Requests under way at the stop have so long; watchers are told to go at once.</summary>
    private static readonly TimeSpan _shutdownLimit = TimeSpan.FromSeconds(5);

    private readonly WebApplication _app;
    private readonly FileStream _folderLock;
    private readonly CancellationTokenSource _stopping;
    private readonly Task _loops;

    private VaultServer(WebApplication app, FileStream folderLock, Task loops, CancellationTokenSource stopping, int port, bool administratorIsNew)
    {
        _folderLock = folderLock;
        _app = app;
        _loops = loops;
        _stopping = stopping;
        Port = port;
        AdministratorIsNew = administratorIsNew;
    }

    /// <summary>The port it listens on; of use when the settings say 0.</summary>
    public int Port { get; }

    /// <summary>True when this was the first start and <c>admin.token</c> was made.</summary>
    public bool AdministratorIsNew { get; }

    /// <summary>"METHOD /path" of every documented route: what the OpenAPI document must list.</summary>
    internal IEnumerable<string> Routes => _app.Services.GetRequiredService<EndpointDataSource>().Endpoints
        .OfType<RouteEndpoint>()
        .Where(route => route.RoutePattern.RawText?.StartsWith("/api/", StringComparison.Ordinal) == true)
        .SelectMany(route => route.Metadata.GetRequiredMetadata<HttpMethodMetadata>().HttpMethods
            .Select(method => $"{method} {route.RoutePattern.RawText!.Replace(":long", "", StringComparison.Ordinal)}")); // not null: filtered above

    /// <summary>Runs until the token ends it.</summary>
    /// <param name="configureLogging">Where the log goes.</param>
    public static async Task RunAsync(VaultSettings settings, Action<ILoggingBuilder> configureLogging, CancellationToken cancellationToken)
    {
        await using VaultServer server = await StartAsync(settings, configureLogging, cancellationToken);
        await Task.Delay(Timeout.InfiniteTimeSpan, settings.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>Returns when requests are answered.</summary>
    public static async Task<VaultServer> StartAsync(VaultSettings settings, Action<ILoggingBuilder> configureLogging, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(settings.DataFolder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        FileStream folderLock = Lock(settings.DataFolder);
        FolderStore folder = new(settings.DataFolder);
        VaultAuthority authority = await VaultAuthority.OpenAsync(folder, settings.Time, cancellationToken);
        RecoveryKey recoveryKey = await RecoveryKey.OpenAsync(folder, settings.Name, settings.Time, cancellationToken);
        VaultStorage storage = await VaultStorage.OpenAsync(Path.Combine(settings.DataFolder, CopyMaker.Database), cancellationToken);
        WebApplication app = Build(settings, authority, storage, recoveryKey, configureLogging);
        IServiceProvider services = app.Services;
        bool administratorIsNew = await services.GetRequiredService<UserTokens>().EnsureAdministratorAsync(folder, cancellationToken);
        await services.GetRequiredService<PolicyStore>().EnsureBuiltInAsync(cancellationToken);
        await services.GetRequiredService<BoardLoader>().LoadAsync(cancellationToken);
        await app.StartAsync(cancellationToken);
        CancellationTokenSource stopping = new();
        Task loops = services.GetRequiredService<VaultLoops>().RunAsync(stopping.Token);
        await services.GetRequiredService<JobRunner>().ResumeAsync(cancellationToken);
        int port = new Uri(services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()).Port; // set once started
        Started(services.GetRequiredService<ILogger<VaultServer>>(), settings.Name, port);
        return new VaultServer(app, folderLock, loops, stopping, port, administratorIsNew);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(); // nobody asks any more, agents included
        await _app.Services.GetRequiredService<JobRunner>().StopAsync();
        await _stopping.CancelAsync();
        await _loops;
        await _app.DisposeAsync();
        _stopping.Dispose();
        await _folderLock.DisposeAsync();
    }

    /// <summary>Two vaults on one database would both run its jobs. The system lets go of the lock when the process ends, however it ends.</summary>
    private static FileStream Lock(string dataFolder)
    {
        string path = Path.Combine(dataFolder, "vault.lock");
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException inner)
        {
            throw new StorageException(FaultKind.Denied, path, "another vault works in this folder", "Stop it, or give this one a folder of its own.", inner);
        }
    }

    private static WebApplication Build(VaultSettings settings, VaultAuthority authority, VaultStorage storage, RecoveryKey recoveryKey, Action<ILoggingBuilder> configureLogging)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = typeof(VaultServer).Assembly.GetName().Name });
        configureLogging(builder.Logging);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = 1 << 20;
            kestrel.Listen(settings.Listen, listen => listen.UseHttps(https =>
            {
                IReadOnlyList<string> names = ServerNames(settings);
                https.SslProtocols = SslProtocols.Tls13;
                https.ServerCertificateSelector = (_, _) => authority.ServerCertificate(names);
                https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;

                // A stranger's certificate gets past the handshake and no further: who asks is told why not (Authentication).
                https.ClientCertificateValidation = (_, _, _) => true;
            }));
        });
        AddServices(builder.Services, settings, authority, storage);
        builder.Services.AddSingleton(recoveryKey).AddSingleton<VaultMarks>().AddSingleton<CopyMaker>().AddSingleton<CopyLoop>();
        WebApplication app = builder.Build();
        MapAll(app, settings);
        return app;
    }

    private static void AddServices(IServiceCollection services, VaultSettings settings, VaultAuthority authority, VaultStorage storage)
    {
        services.AddRoutingCore();
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.Strict;
            json.SerializerOptions.UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow; // a misspelt "unplanned" must not begin a planned one
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, ApiJson.Default);
            foreach (System.Text.Json.Serialization.JsonConverter converter in ApiJson.Default.Options.Converters)
            {
                json.SerializerOptions.Converters.Add(converter);
            }
        });
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true); // so that a body that cannot be read is a problem with a reason
        services.Configure<HostOptions>(host => host.ShutdownTimeout = _shutdownLimit);
        ApiDocument.Add(services);
        Authentication.Add(services);
        services.AddSingleton(settings).AddSingleton(settings.Time).AddSingleton(settings.Ids).AddSingleton(authority).AddSingleton(storage);
        services.AddSingleton(new VaultAddresses(settings.Name, PublicUrls(settings)));
        services.AddSingleton<Changes>().AddSingleton<Events.EventJournal>().AddSingleton<UserTokens>();
        services.AddSingleton<AgentRegistry>().AddSingleton<AgentNews>().AddSingleton<HostDuties>().AddSingleton<AgentEndpoint>();
        services.AddSingleton<SiteStore>().AddSingleton<SiteLinks>().AddSingleton<LinkCommand>().AddSingleton<LinkKeeper>().AddSingleton<Registration>().AddSingleton<HostStore>().AddSingleton<HostSettings>().AddSingleton<FitAsker>().AddSingleton<HostAsker>().AddSingleton<MappingStore>().AddSingleton<StorageMapStore>();
        services.AddSingleton(all => ActivatorUtilities.CreateInstance<ReportNews>(all, (Func<HostId, bool>)(host => all.GetRequiredService<AgentRegistry>().Find(host) is not null))).AddSingleton<Reunions>().AddSingleton<VaultLoops>();
        ProtectionServices.Add(services);
    }

    private static void MapAll(WebApplication app, VaultSettings settings)
    {
        ILogger logger = app.Services.GetRequiredService<ILogger<VaultServer>>();
        app.Use(next => context => Problems.HandleAsync(context, next, logger));
        app.UseRouting();
        app.Use(next => context => RouteNames.ReadAsync(context, next));
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseWebSockets(new WebSocketOptions { KeepAliveInterval = TimeSpan.Zero }); // the channel has its own heartbeat
        app.MapOpenApi().AllowAnonymous();
        app.Map(Api.Control.ControlLimits.Path, (HttpContext context, AgentEndpoint endpoint) => endpoint.RunAsync(context))
            .RequireAuthorization(Authentication.Agents)
            .ExcludeFromDescription(); // no REST: docs/protocols/control.md
        RouteGroupBuilder api = app.MapGroup("/api/v1");
        api.MapGet("/status", (TimeProvider time) => new StatusDto(settings.Name, Version, time.GetUtcNow()))
            .AllowAnonymous()
            .WithName("getStatus").WithSummary("That the vault answers, and its version");
        SiteRoutes.Map(api);
        LinkRoutes.Map(api);
        CopyRoutes.Map(api);
        VmRoutes.Map(api);
        JobRoutes.Map(api);
    }

    internal static string Version => typeof(VaultServer).Assembly.GetName().Version?.ToString(3) ?? "0";

    private static IReadOnlyList<string> PublicUrls(VaultSettings settings) =>
        settings.PublicUrls.Count > 0 ? settings.PublicUrls : [$"https://{Dns.GetHostName()}:{settings.Listen.Port}"];

    /// <summary>Names in the server's certificate: those it is known by, and those that are always true.</summary>
    private static IReadOnlyList<string> ServerNames(VaultSettings settings) =>
        [.. PublicUrls(settings).Select(url => new Uri(url).Host.Trim('[', ']')), Dns.GetHostName(), "localhost", "127.0.0.1", "::1"];

    [LoggerMessage(1, LogLevel.Information, "The vault {Name} listens on port {Port}")]
    private static partial void Started(ILogger logger, string name, int port);
}
