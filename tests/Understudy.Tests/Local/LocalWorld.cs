using System.Collections.Concurrent;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Agent;
using Understudy.Agent.Local;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Qemu;
using Understudy.Tests.CommandLine;

namespace Understudy.Tests.Local;

/// <summary>A host's agent as its own command line meets it: the real socket, operations and outcome log, over an engine
/// that only keeps what it was asked.</summary>
internal sealed class LocalWorld : IAsyncDisposable
{
    public static readonly LineId Line = new(1, 7);

    private readonly string _folder = Directory.CreateTempSubdirectory("us-agent-").FullName;
    private CancellationTokenSource _stop = new();
    private OutcomeLog? _outcomes;
    private AgentOperations? _operations;
    private Task _running = Task.CompletedTask;

    private LocalWorld()
    {
    }

    public string Socket => Path.Combine(_folder, "run", LocalChannel.SocketName);

    public VaultConnection Vault { get; set; } = new(false, ["https://vault:443"], Errors.CertificateOfAnotherVault("The server"));

    public VmId Vm { get; } = new(Guid.NewGuid());

    public ReplicaId Replica { get; } = new(Guid.NewGuid());

    public IReadOnlyList<LocalSource> Sources { get; set; } = [];

    /// <summary>The failover of web1 that stands here.</summary>
    public FailoverInfo? Standing { get; set; }

    public ConcurrentQueue<LocalClaimRequest> Claims { get; } = new();

    public ConcurrentQueue<FailoverCancelRequest> Cancels { get; } = new();

    public ConcurrentQueue<BranchInfo> Branches { get; } = new();

    public ConcurrentQueue<CommitRequest> Commits { get; } = new();

    public ConcurrentQueue<BranchDeleteRequest> Deletions { get; } = new();

    public ConcurrentQueue<SourceUnprotectRequest> Unprotects { get; } = new();

    /// <summary>What the vault is told, now or later.</summary>
    public ConcurrentQueue<AgentEvent> News { get; } = new();

    /// <summary>A replica whose pool is away.</summary>
    public ReplicaUnavailable? Unavailable { get; set; }

    public ConcurrentQueue<LocalForgetRequest> Forgotten { get; } = new();

    public bool SourceConnected { get; set; }

    public bool SourceCalls { get; set; } = true;

    public IReadOnlyList<NicPlan> Nics { get; set; } = [new("52:54:00:00:00:01", "lan", null, null), new("52:54:00:00:00:02", "dmz", null, null)];

    public List<RecoveryPointInfo> Points { get; } =
    [
        Point(100, "2026-11-21T10:00:00Z"), Point(200, "2026-11-21T10:00:30Z"),
    ];

    public ConcurrentQueue<FailoverStartRequest> Failovers { get; } = new();

    public ConcurrentDictionary<TestId, TestStartRequest> Tests { get; } = new();

    public ConcurrentQueue<PointExportRequest> Exports { get; } = new();

    /// <summary>Runs in the middle of a failover, after it was carried out and before it is answered.</summary>
    public Func<Task>? BeforeFailoverAnswers { get; set; }

    public static async Task<LocalWorld> StartAsync()
    {
        LocalWorld world = new();
        AgentConfig config = new()
        {
            Listen = "0.0.0.0:7443",
            Advertise = "beta:7443",
            LibvirtUri = "test:///default",
            ReplicasFolder = Path.Combine(world._folder, "replicas"),
            ImagesFolder = Path.Combine(world._folder, "images"),
            SpoolFolder = Path.Combine(world._folder, "spool"),
            GuestLogFolder = Path.Combine(world._folder, "logs"),
            RunFolder = Path.Combine(world._folder, "run"),
        };
        await config.WriteAsync(new FolderStore(world._folder), CancellationToken.None);
        await new AgentMembership(new HostId(Guid.NewGuid()), "beta", "berlin", ["https://vault:443"], ["beta"], "ca", "certificate", "key")
            .SaveAsync(new FolderStore(world._folder), CancellationToken.None);
        await world.StartAgentAsync();
        return world;
    }

    public Task<CommandRun> RunAsync(params string[] words) => CommandRun.OfAsync([.. words, "--data", _folder]);

    public async Task StartAgentAsync()
    {
        _stop = new CancellationTokenSource();
        FolderStore outcomes = new(Directory.CreateDirectory(Path.Combine(_folder, "outcomes")).FullName);
        _outcomes = await OutcomeLog.OpenAsync(outcomes, NullLogger.Instance, CancellationToken.None);
        _operations = new AgentOperations(_outcomes, NullLogger.Instance);
        Register(_operations);
        _running = new LocalListener(Socket, new LocalSockets(), new LocalNews(_operations, News.Enqueue, vm => vm == Vm ? "web1" : null, TimeProvider.System), TimeProvider.System, NullLogger.Instance).RunAsync(_stop.Token);
    }

    public async Task StopAgentAsync()
    {
        await _stop.CancelAsync();
        await _running;
        await _operations!.DisposeAsync(); // started before
        await _outcomes!.DisposeAsync();
        _stop.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAgentAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static RecoveryPointInfo Point(ulong sequence, string at) =>
        new(new RecoveryPointId(Line, sequence), DateTimeOffset.Parse(at, System.Globalization.CultureInfo.InvariantCulture), PointKind.CrashConsistent, null);

    private LocalState State() => new(
        new HostId(Guid.NewGuid()), "beta", "berlin", "0.1.0", Vault,
        [
            new LocalReplica(
                "web1", "web1-dr", new HostId(Guid.NewGuid()), SourceConnected, SourceCalls, new RecoverySettings(Nics, 2, 1L << 30, 14),
                [.. Tests.Select(test => new LocalTest(test.Key, test.Value.VmName, test.Value.Point))],
                new TargetReport(Vm, Replica, Line, TargetPhase.Receiving, Points.Count, Points[0], Points[^1], 1 << 20, 1 << 20, [.. Tests.Keys], null, Failover: Standing)),
        ],
        Sources,
        Unavailable: Unavailable is null ? null : [Unavailable]);

    private void Register(AgentOperations operations)
    {
        operations.On(LocalMethods.State, (_, _, _) => Task.FromResult(State()));
        operations.On(AgentMethods.PointsList, (_, _, _) => Task.FromResult(new PointsAnswer([.. Points], [.. Branches])));
        operations.On(AgentMethods.FailoverStart, async (request, _, ct) =>
        {
            Failovers.Enqueue(request);
            if (BeforeFailoverAnswers is { } before)
            {
                await before().WaitAsync(ct);
            }

            return new FailoverStarted(new LineId(2, 8), request.VmName, [$"VM {request.VmName}"]);
        });
        operations.On(LocalMethods.Claim, (request, _, _) =>
        {
            Claims.Enqueue(request);
            return Task.FromResult(new LocalClaimed(new LineId(2, 9)));
        });
        operations.On(LocalMethods.Forget, (request, _, _) =>
        {
            if (request.Vm == Vm)
            {
                throw new ErrorException(Errors.ReplicaIsThere("web1", "It is open."));
            }

            Forgotten.Enqueue(request);
            return Task.FromResult(new Removed(["the note"], ["whatever stands in /pool"]));
        });
        operations.On(AgentMethods.SourceUnprotect, (request, _, _) =>
        {
            Unprotects.Enqueue(request);
            return Task.FromResult(new Removed([], []));
        });
        operations.On(AgentMethods.TargetUnprotect, (_, _, _) => Task.FromResult(new Removed([], [])));
        operations.On(AgentMethods.FailoverCancel, (request, _, _) =>
        {
            Cancels.Enqueue(request);
            BranchInfo kept = new(
                new BranchId(Guid.NewGuid()), BranchKind.CancelledFailover, new LineId(2, 9), Points[0].Id, new DateTimeOffset(2026, 11, 21, 10, 5, 12, TimeSpan.Zero), null, 1 << 20, [], []);
            Branches.Enqueue(kept);
            return Task.FromResult(new FailoverCancelled(new LineId(3, 9), Points[0].Id, kept.Id));
        });
        operations.On(AgentMethods.Commit, (request, _, _) =>
        {
            Commits.Enqueue(request);
            return Task.FromResult(new Committed(["/images/web1/vda.qcow2"], Commits.Count > 1 ? "branch x" : null));
        });
        operations.On(AgentMethods.BranchDelete, (request, _, _) =>
        {
            Deletions.Enqueue(request);
            return Task.FromResult(new Removed(["branch cancelled-20261121-100512 of web1"], []));
        });
        operations.On(AgentMethods.TestStart, (request, _, _) =>
        {
            Tests[request.Test] = request;
            return Task.FromResult(new TestStarted(request.VmName, request.Isolated ? "us-test" : null, [$"VM {request.VmName}"]));
        });
        operations.On(AgentMethods.TestComplete, (request, _, _) =>
        {
            Tests.TryRemove(request.Test, out _);
            return Task.FromResult(new Removed(["VM"], []));
        });
        operations.On(AgentMethods.PointExport, (request, _, _) =>
        {
            Exports.Enqueue(request);
            return Task.FromResult(new PointExported([$"{request.Folder}/vda.{request.Format}"]));
        });
    }
}
