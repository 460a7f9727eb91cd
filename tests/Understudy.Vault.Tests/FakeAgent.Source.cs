using System.Collections.Concurrent;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Ownership;
using OwnershipState = Understudy.Protection.Ownership.OwnershipState;

namespace Understudy.Vault.Tests;

/// <summary>A VM that this agent sends.</summary>
internal sealed class FakeSource(SourceProtectRequest request, FakeToken token)
{
    public SourceProtectRequest Request => request;

    public FakeToken Token => token;

    public bool Running { get; set; } = true;

    public string? PausedBy { get; set; }

    public bool Resynced { get; set; }

    public string? Dials { get; set; } = request.TargetDials ? null : request.Endpoint;

    public IReadOnlyList<string> Excluded { get; set; } = request.ExcludedDisks ?? [];

    public SourceSettings Settings { get; set; } = request.Settings;

    public DeposedInfo? Deposed { get; set; }

    public List<BranchInfo> Branches { get; } = [];

    public SourceReport? Fixed { get; set; }
}

/// <summary>The source's part of the contract.</summary>
internal sealed partial class FakeAgent
{
    public ConcurrentDictionary<ReplicaId, FakeSource> Sources { get; } = new();

    /// <summary>Old disks of protections that have ended, by their replica.</summary>
    public ConcurrentDictionary<ReplicaId, FakeSource> Retired { get; } = new();

    /// <summary>Where this agent's cycles arrive.</summary>
    public FakeAgent? Peer { get; set; }

    /// <summary>The guests do what guests do that have a dialogue open.</summary>
    public bool IgnoresShutdown { get; set; }

    public void Post(SourceReport report)
    {
        Sources[report.Replica].Fixed = report;
        _link!.Post(report);
    }

    public void Post(FakeSource source) => _link!.Post(Report(source));

    public SourceReport ReportOf(FakeSource source) => Report(source);

    private SourceReport Report(FakeSource source) => (source.Fixed ?? new SourceReport(
        source.Request.Vm, source.Request.Replica, SourcePhase.Protected, VmPower.Running, 0, 0, 0, 0,
        Peer?.Replicas.GetValueOrDefault(source.Request.Replica)?.Points.LastOrDefault(), null, null, 1, 0, 0, 0, 0, false, null)) with
    {
        Power = source.Running ? VmPower.Running : source.Deposed is null ? VmPower.Off : VmPower.Paused,
        PausedBy = source.PausedBy,
        Fenced = source.Token.IsFenced,
        Ownership = source.Token.Report(),
        Deposed = source.Deposed,
        Branches = source.Branches,
        ExcludedDisks = source.Excluded,
        Link = new LinkInfo(source.Dials),
    };

    private void RegisterSource(AgentOperations operations)
    {
        On(operations, AgentMethods.SourceProtect, request =>
        {
            OwnershipRecord begun = OwnershipRules.Begin(
                request.Vm, "web1", request.Replica, request.Target.Value, request.Line, [], new OwnershipState.Here("boot-1"), TimeProvider.System.GetUtcNow());
            _link!.Post(Report(Sources.GetOrAdd(request.Replica, _ => new FakeSource(request, new FakeToken(begun)))));
            return Nothing.Value;
        });
        On(operations, AgentMethods.SourceConfigure, request =>
        {
            LastConfigured = $"frequency {request.Settings.Frequency}";
            Sources.Values.Single(source => source.Request.Vm == request.Vm).Settings = request.Settings;
            return Nothing.Value;
        });
        OnSource(operations, AgentMethods.SourceDisks, request => request.Replica, (source, request) => source.Excluded = request.Excluded);
        OnSource(operations, AgentMethods.SourceLink, request => request.Replica, (source, request) => source.Dials = request.TargetDials ? null : request.Endpoint);
        OnSource(operations, AgentMethods.SourcePause, request => request.Replica, (source, request) => source.PausedBy = request.By);
        OnSource(operations, AgentMethods.SourceResume, request => request.Replica, (source, _) => source.PausedBy = null);
        OnSource(operations, AgentMethods.SourceResync, request => request.Replica, (source, _) => source.Resynced = true);
        On(operations, AgentMethods.SourceCycle, request => new PointMade(Cut(request.Replica, request.Kind, request.Label)));
        On(operations, AgentMethods.SourceUnprotect, request =>
        {
            if (request.KeepGuard && Sources.TryGetValue(request.Replica, out FakeSource? owner) && request.Line is { } line && owner.Token.Record is { State: OwnershipState.Here } own && !line.IsNewerThan(own.Line))
            {
                throw new ErrorException(new ErrorInfo(
                    ErrorKind.Refused, "not-failed-over", "web1 is not owned by the other side: nothing of it here is old.", "Nothing was changed.", "Stop protecting it without keeping anything."));
            }

            if (Sources.TryRemove(request.Replica, out FakeSource? source) && request.KeepGuard)
            {
                source.Branches.Clear();
                source.Branches.Add(NewBranch(BranchKind.RetiredSource, source.Token.Record.Line, null, null));
                Retired[request.Replica] = source;
                _link!.Post(Report(source));
            }

            return new Removed(["tracking"], ["VM web1"]);
        });
        On(operations, AgentMethods.SourceBranchDelete, request =>
        {
            Retired.TryRemove(request.Replica, out _);
            Sources.GetValueOrDefault(request.Replica)?.Branches.RemoveAll(branch => branch.Id == request.Branch);
            return new Removed(["the old disks"], []);
        });
        RegisterHandOver(operations);
    }

    private void RegisterHandOver(AgentOperations operations)
    {
        OnSource(operations, AgentMethods.SourceFence, request => request.Replica, (source, request) => source.Token.Take(new OwnershipMessage.Close(request.Reason, TimeProvider.System.GetUtcNow())));
        OnSource(operations, AgentMethods.SourceUnfence, request => request.Replica, (source, request) =>
        {
            source.Token.Take(new OwnershipMessage.Reopen());
            Run(source, source.Running || request.Start);
        });
        On(operations, AgentMethods.SourceStopGuest, request =>
        {
            FakeSource source = Sources[request.Replica];
            Assert.True(source.Token.IsFenced, "stopped without a fence");
            if (IgnoresShutdown && !request.PowerOff)
            {
                return new GuestStopped(!source.Running, request.Timeout);
            }

            Run(source, false);
            return new GuestStopped(true, TimeSpan.FromSeconds(3), PoweredOff: request.PowerOff && IgnoresShutdown);
        });
        On(operations, AgentMethods.SourceLastChange, request =>
        {
            Assert.False(Sources[request.Replica].Running, "the last change of a guest that runs");
            return new PointMade(Cut(request.Replica, request.Kind, request.Label));
        });
        On(operations, AgentMethods.SourceOffer, request =>
        {
            FakeSource source = Sources[request.Replica];
            RecoveryPointId newest = Peer!.Replicas[request.Replica].Points[^1].Id; // the tests join them
            source.Token.Take(new OwnershipMessage.Offer(request.Transfer, request.To.Value, newest, null));
            _link!.Post(Report(source));
            return new SourceOffered(source.Token.Record.Line, newest);
        });
        OnSource(operations, AgentMethods.SourceHandedOver, request => request.Replica, (source, request) => source.Token.Take(new OwnershipMessage.HandedOver(request.Transfer, request.Line)));
        OnSource(operations, AgentMethods.SourceTakeBack, request => request.Replica, (source, request) =>
        {
            source.Token.Take(new OwnershipMessage.TakeBack(request.Transfer));
            Run(source, request.Start);
        });
        OnSource(operations, AgentMethods.SourceAccept, request => request.Replica, (source, request) =>
        {
            source.Token.Take(new OwnershipMessage.Accept(request.Transfer, request.Line, request.Parent, null));
            source.Deposed = null;
            Run(source, request.Start);
        });
        OnSource(operations, AgentMethods.SourceDepose, request => request.Replica, (source, request) =>
        {
            DateTimeOffset now = TimeProvider.System.GetUtcNow();
            source.Token.Take(new OwnershipMessage.Learn(request.Line, request.MintedAt, now));
            if (source.Deposed is null) // told twice, it is done once
            {
                source.Deposed = new DeposedInfo(request.Line, request.MintedAt, source.Running ? now : null, request.Action);
                source.Branches.Add(NewBranch(BranchKind.DeposedSource, source.Token.Record.Line, null, null));
                Run(source, false);
            }
        });
        OnSource(operations, AgentMethods.SourceRevalidate, request => request.Replica, (source, request) =>
        {
            if (request.Valid)
            {
                source.Token.Take(new OwnershipMessage.Validate());
            }
        });
    }

    private RecoveryPointInfo Cut(ReplicaId replica, PointKind kind, string? label)
    {
        RecoveryPointInfo point = Peer!.AddPoint(replica, TimeProvider.System.GetUtcNow(), kind, label); // the tests join them
        Post(Sources[replica]);
        return point;
    }

    private void Run(FakeSource source, bool running)
    {
        source.Running = running;
        int index = Vms.FindIndex(vm => vm.Id == source.Request.Vm);
        Vms[index] = Vms[index] with { Power = running ? VmPower.Running : VmPower.Off };
        PostInventory();
    }

    /// <summary>An order that changes one source and answers with nothing; the news of it are sent after.</summary>
    private void OnSource<TRequest>(AgentOperations operations, AgentMethod<TRequest, Nothing> method, Func<TRequest, ReplicaId> replica, Action<FakeSource, TRequest> behaviour) =>
        On(operations, method, request =>
        {
            FakeSource source = Sources[replica(request)];
            behaviour(source, request);
            _link!.Post(Report(source));
            return Nothing.Value;
        });

    private static BranchInfo NewBranch(BranchKind kind, LineId line, RecoveryPointId? point, int? days)
    {
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        return new BranchInfo(new BranchId(Guid.NewGuid()), kind, line, point, now, days is { } kept ? now.AddDays(kept) : null, 1 << 20, ["/images/branch.qcow2"], []);
    }
}
