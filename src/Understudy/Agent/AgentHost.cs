using Understudy.Agent.Local;
using Understudy.Agent.Seeds;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Protection.Target;
using Understudy.Replication.Calling;
using Understudy.Replication.Receiving;

namespace Understudy.Agent;

/// <summary>
/// The agent of one host: binds the engines to the real hypervisor, disks, clock and network, and runs their loops until
/// it is told to stop. Stopping leaves guests, storage daemons and replicas as they are; the next agent goes on.
/// </summary>
internal sealed class AgentHost
{
    /// <summary>Of notes to sources whose VM came to stay here.</summary>
    public const string DeparturesFolder = "departures";

    private readonly AgentConfig _config;
    private readonly AgentSettings _settings;
    private readonly AgentIdentity _identity;
    private readonly string _dataFolder;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;

    private AgentHost(AgentConfig config, AgentMembership membership, string dataFolder, ILoggerFactory loggers)
    {
        _config = config;
        _dataFolder = dataFolder;
        FolderStore store = new(dataFolder);
        _settings = new AgentSettings(store, config);
        _loggers = loggers;
        _logger = loggers.CreateLogger("agent");
        _identity = new AgentIdentity(store, membership, _settings, TimeProvider.System, _logger);
    }

    public static async Task RunAsync(string dataFolder, CancellationToken cancellationToken)
    {
        AgentMembership membership = await AgentIdentity.LoadAsync(dataFolder, cancellationToken);
        AgentConfig config = await AgentConfig.ReadAsync(dataFolder, cancellationToken);
        using ILoggerFactory loggers = AgentLogging.Create();
        await new AgentHost(config, membership, dataFolder, loggers).RunAsync(cancellationToken);
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        using AgentLock onlyOne = AgentLock.Take(_dataFolder);
        PrepareFolders();
        using AgentLock onlyOneHere = AgentLock.TakeForHost(_config.RunFolder);
        using ReplicasLock replicas = ReplicasLock.TakeForAgent(_config.ReplicasFolder);
        await using HostServices host = new(_config, _dataFolder, _loggers);
        PeerDialler dialler = new(_settings, _identity.Tls);
        SourceNews news = new();
        TargetServices services = host.ForTarget(news);
        await using TargetSide target = new(_config, services, new DepartureNotices(StoreAt(DeparturesFolder), host.Time, _logger), new SeedCheck(host.Seeds, host.Images), dialler, host.Guard, _logger);
        await using SourceSide source = new(_settings, host.ForSource(), host.Ownership, host.Guard, dialler, news, host.Ids, _loggers);

        ReplicationReceiver receiver = new(target, AgentVersion.Text, host.Time, _loggers.CreateLogger<ReplicationReceiver>(), source);
        target.Caller = new ReplicationCaller(receiver, AgentVersion.Text, host.Time, _loggers.CreateLogger<ReplicationCaller>());
        using ReplicationListener listener = new(AgentJoin.EndPoint(_config.Listen), receiver, _identity.Tls, _logger);
        if (_config.Listens)
        {
            listener.Open();
        }

        AgentLog.Started(_logger, _identity.Membership.Name, _identity.Membership.Host.Value, _identity.Membership.Site, _config.Listen);

        await using OutcomeLog outcomes = await OutcomeLog.OpenAsync(StoreAt("outcomes"), _loggers.CreateLogger<OutcomeLog>(), cancellationToken);
        await using AgentOperations operations = new(outcomes, _loggers.CreateLogger<AgentOperations>());
        Visibility visibility = new(_settings, host.Hypervisor, vm => source.Holds(vm.Id) || target.Uses(vm));
        HostView view = new(_settings, () => _identity.Membership.Name, host.Hypervisor, source, target, visibility, host.GuardWatch, host.Boot, listener, new Spaces(host.Time, Facts.Space), _logger);
        LinkOrders.Register(operations, source, target, view, _settings, listener);
        TargetOrders.Register(operations, target, visibility.RequireVisibleAsync);
        SourceOrders.Register(operations, source);
        new VaultCopies(VaultCopies.FolderOf(_dataFolder)).Register(operations);
        VaultLink link = new(_identity, view.HelloAsync, operations, host.Time, _loggers.CreateLogger<VaultLink>());
        news.Link = link;
        ProxyTrials proxies = new(_settings, link, async ct => link.Post(await view.FactsAsync(ct)), host.Time, _logger);
        HostOrders.Register(operations, view, host.Hypervisor, _identity, proxies, dialler);
        new LocalOrders(_identity, _settings, proxies, view, visibility, link, source, target, receiver).Register(operations);
        NewsLoop newsLoop = new(view, link, host.Hypervisor, host.Time, _logger);
        link.Tell = newsLoop.TellReports;
        LocalNews localNews = new(operations, link.Post, vm => target.NameOf(vm) ?? source.NameOf(vm), host.Time);
        LocalListener local = new(_config.LocalSocket, host.Sockets, localNews, host.Time, _logger);
        await target.OpenAllAsync(cancellationToken);
        await source.OpenAllAsync(cancellationToken);

        await RunPartsAsync(
            cancellationToken,
            host.Hypervisor.RunAsync,
            listener.RunAsync,
            local.RunAsync,
            link.RunAsync,
            proxies.RunAsync,
            target.RunAsync,
            source.RunAsync,
            newsLoop.RunAsync,
            newsLoop.LookAsync,
            newsLoop.WatchAsync,
            stop => host.GuardWatch.RunAsync(link.Post, stop),
            _identity.RunAsync);
    }

    /// <summary>A part that ends by a fault ends the agent: half an agent would look healthy and not be.</summary>
    private static async Task RunPartsAsync(CancellationToken cancellationToken, params Func<CancellationToken, Task>[] parts)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] running = [.. parts.Select(part => part(stop.Token))];
        await Task.WhenAny(running);
        await stop.CancelAsync();
        try
        {
            await Task.WhenAll(running);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested && running.All(t => !t.IsFaulted))
        {
            // Asked to stop.
        }
    }

    private FolderStore StoreAt(string name) => new(Directory.CreateDirectory(Path.Combine(_dataFolder, name)).FullName);

    private void PrepareFolders()
    {
        try
        {
            foreach (string folder in (string[])[_config.ReplicasFolder, _config.ImagesFolder, _config.SpoolFolder, _config.RunFolder, _config.GuestLogFolder])
            {
                Directory.CreateDirectory(folder);
            }

            // QEMU runs as another user: it must be able to walk to images, sockets and scratch, not to list them.
            foreach (string folder in (string[])[_dataFolder, _config.ImagesFolder, _config.SpoolFolder, _config.RunFolder])
            {
                File.SetUnixFileMode(folder, File.GetUnixFileMode(folder) | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ErrorException(Errors.BadValue("agent folder", _dataFolder, e.Message), e);
        }
    }
}
