using System.Collections.Concurrent;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Ownership;
using OwnershipState = Understudy.Protection.Ownership.OwnershipState;

namespace Understudy.Vault.Tests;

/// <summary>A replica on this agent's host.</summary>
internal sealed class FakeReplica(ReplicaCreateRequest request, FakeToken token)
{
    public ReplicaCreateRequest Request => request;

    public FakeToken Token => token;

    public List<RecoveryPointInfo> Points { get; } = [];

    public TargetPhase Phase { get; set; } = TargetPhase.Receiving;

    public FailoverInfo? Failover { get; set; }

    public List<BranchInfo> Branches { get; } = [];

    public List<MountInfo> Mounts { get; } = [];

    public string? Waiting { get; set; }

    public string? Dials { get; set; } = request.SourceEndpoint;

    public FailoverStarted? Started { get; set; }

    public FailoverStartRequest? FailoverAsked { get; set; }

    public ChangePointRequest? ChangeAsked { get; set; }
}

/// <summary>The target's part of the contract.</summary>
internal sealed partial class FakeAgent
{
    public static LineId Line => new(1, 7);

    public ConcurrentDictionary<ReplicaId, FakeReplica> Replicas { get; } = new();

    /// <summary>What is wrong with every seed; null when they are good.</summary>
    public ErrorInfo? SeedError { get; set; }

    public ConcurrentDictionary<TestId, TestStartRequest> Tests { get; } = new();

    /// <summary>A cycle has arrived: a new point stands.</summary>
    public RecoveryPointInfo AddPoint(ReplicaId replica, DateTimeOffset cutAt, PointKind kind = PointKind.CrashConsistent, string? label = null)
    {
        FakeReplica held = Replicas[replica];
        RecoveryPointInfo point = new(new RecoveryPointId(held.Token.Record.Line, (ulong)(held.Points.Count + 1) * 100), cutAt, kind, label);
        held.Points.Add(point);
        _link!.Post(Report(held));
        return point;
    }

    public void Post(ReplicaUnavailable replica) => _link!.Post(replica); // started

    public void Post(FakeReplica replica) => _link!.Post(Report(replica));

    /// <summary>As `understudy local failover` does it, without the vault.</summary>
    public void FailOverLocally(ReplicaId replica)
    {
        FakeReplica held = Replicas[replica];
        Start(held, held.Points[^1], held.Token.Mint(), null, "web1");
    }

    private TargetReport Report(FakeReplica replica) => new(
        replica.Request.Vm, replica.Request.Replica, replica.Token.Record.Line, replica.Phase, replica.Points.Count, replica.Points.FirstOrDefault(),
        replica.Points.LastOrDefault(), 1 << 20, 1 << 30, [.. Tests.Where(pair => pair.Value.Replica == replica.Request.Replica).Select(pair => pair.Key)], null,
        replica.Waiting, replica.Token.Report(), replica.Failover, [.. replica.Branches], [.. replica.Mounts], Link: new LinkInfo(replica.Dials));

    private void RegisterTarget(AgentOperations operations)
    {
        On(operations, AgentMethods.ReplicaCreate, request =>
        {
            OwnershipRecord begun = OwnershipRules.Begin(
                request.Vm, request.VmName, request.Replica, request.Source.Value, Line, [], new OwnershipState.Elsewhere(), TimeProvider.System.GetUtcNow());
            Replicas.TryAdd(request.Replica, new FakeReplica(request, new FakeToken(begun)));
            return new ReplicaCreated(Line, [$"replica {request.Replica}"]);
        });
        On(operations, AgentMethods.SeedCheck, request => SeedError is { } error
            ? throw new ErrorException(error)
            : new SeedCheckAnswer([.. request.Seeds.Select(seed => $"{seed.TargetDevice} begins with {seed.Path}.")]));
        On(operations, AgentMethods.ReplicaConfigure, request =>
        {
            LastConfigured = $"retention {request.Settings.Retention}";
            return Nothing.Value;
        });
        On(operations, AgentMethods.TargetLink, request =>
        {
            FakeReplica held = Replicas[request.Replica];
            held.Dials = request.SourceEndpoint;
            Post(held);
            return Nothing.Value;
        });
        On(operations, AgentMethods.TestStart, request =>
        {
            Tests[request.Test] = request;
            return new TestStarted(request.VmName, request.Isolated ? "us-test" : null, [$"VM {request.VmName}"]);
        });
        On(operations, AgentMethods.TestComplete, request =>
        {
            Tests.TryRemove(request.Test, out _);
            return new Removed(["VM"], []);
        });
        On(operations, AgentMethods.TargetUnprotect, request =>
        {
            LastUnprotected = request;
            Replicas.TryRemove(request.Replica, out _);
            return new Removed(["replica"], VmStays ? ["VM"] : [], VmStays);
        });
        RegisterFailover(operations);
    }

    private void RegisterFailover(AgentOperations operations)
    {
        On(operations, AgentMethods.FailoverStart, request => StartFailover(Replicas[request.Replica], request));
        On(operations, AgentMethods.TransferRefuse, request =>
        {
            Replicas[request.Replica].Token.Take(new OwnershipMessage.Refuse(request.Transfer));
            return Nothing.Value;
        });
        On(operations, AgentMethods.ChangePoint, request =>
        {
            FakeReplica held = Replicas[request.Replica];
            held.ChangeAsked = request;
            BranchInfo branch = Keep(held, BranchKind.ChangedPoint, request.BranchDays);
            LineId line = held.Token.Mint();
            held.Token.Take(new OwnershipMessage.Renew(line, request.Point));
            held.Failover = held.Failover! with { Point = request.Point }; // set while it runs here
            _link!.Post(Report(held));
            return new FailoverStarted(line, "web1", ["VM web1"], null, branch.Id);
        });
        On(operations, AgentMethods.FailoverCancel, request =>
        {
            FakeReplica held = Replicas[request.Replica];
            if (held.Token.Record.State is OwnershipState.Offered offered && offered.Transfer == request.Transfer)
            {
                return new FailoverCancelled(held.Token.Record.Line, offered.Parent, null);
            }

            RecoveryPointId parent = held.Points[^1].Id;
            LineId line = held.Token.Mint();
            held.Token.Take(new OwnershipMessage.Offer(request.Transfer, request.Source.Value, parent, line));
            BranchInfo branch = Keep(held, BranchKind.CancelledFailover, request.BranchDays);
            (held.Failover, held.Phase) = (null, TargetPhase.Receiving);
            _link!.Post(Report(held));
            return new FailoverCancelled(line, parent, branch.Id);
        });
        On(operations, AgentMethods.TransferSettled, request =>
        {
            FakeReplica held = Replicas[request.Replica];
            held.Token.Take(new OwnershipMessage.HandedOver(request.Transfer, held.Token.Record.Line));
            _link!.Post(Report(held));
            return Nothing.Value;
        });
        On(operations, AgentMethods.TargetRevalidate, request =>
        {
            FakeReplica held = Replicas[request.Replica];
            DateTimeOffset now = TimeProvider.System.GetUtcNow();
            held.Token.Take(request.Valid ? new OwnershipMessage.Validate() : new OwnershipMessage.Learn(request.Line, now, now));
            _link!.Post(Report(held));
            return Nothing.Value;
        });
        On(operations, AgentMethods.Commit, request =>
        {
            FakeReplica held = Replicas[request.Replica];
            (held.Phase, held.Waiting) = (TargetPhase.FailedOver, held.Branches.Count > 0 ? "a branch needs the image" : null);
            held.Points.Clear();
            _link!.Post(Report(held));
            return new Committed(["/images/web1.qcow2"], held.Waiting);
        });
    }

    private FailoverStarted StartFailover(FakeReplica held, FailoverStartRequest request)
    {
        held.FailoverAsked = request;
        if (held.Started is { } before && held.Failover?.Point == request.Point)
        {
            return before;
        }

        if (request.Transfer is not null && held.Points[^1].Id != request.Point)
        {
            throw new ErrorException(Errors.UnknownPoint("web1", request.Point.ToString()));
        }

        BranchInfo? branch = request.FromTest is { } test && Tests.TryRemove(test, out _) ? NewBranch(BranchKind.PromotedTest, held.Token.Record.Line, request.Point, request.BranchDays) : null;
        held.Branches.AddRange(branch is null ? [] : [branch]);
        return Start(held, held.Points.First(point => point.Id == request.Point), held.Token.Mint(), request.Transfer, request.VmName, branch?.Id);
    }

    private FailoverStarted Start(FakeReplica held, RecoveryPointInfo point, LineId line, TransferId? transfer, string vmName, BranchId? branch = null)
    {
        held.Token.Take(transfer is { } planned
            ? new OwnershipMessage.Accept(planned, line, point.Id, held.Token.Record.Line)
            : new OwnershipMessage.Claim(line, point.Id));
        held.Failover = new FailoverInfo(
            point.Id, point.CutAt, transfer is null ? FailoverKind.Unplanned : FailoverKind.Planned, TimeProvider.System.GetUtcNow(), vmName, null, VmPower.Running);
        held.Phase = TargetPhase.CommitPending;
        held.Started = new FailoverStarted(line, vmName, [$"VM {vmName}"], null, branch);
        _link!.Post(Report(held));
        return held.Started;
    }

    private static BranchInfo Keep(FakeReplica held, BranchKind kind, int days)
    {
        BranchInfo branch = NewBranch(kind, held.Token.Record.Line, held.Failover?.Point, days);
        held.Branches.Add(branch);
        held.Started = null;
        return branch;
    }

    private void RegisterPoints(AgentOperations operations)
    {
        On(operations, AgentMethods.PointsList, request => new PointsAnswer([.. Replicas[request.Replica].Points], [.. Replicas[request.Replica].Branches]));
        On(operations, AgentMethods.PointExport, request => new PointExported([$"{request.Folder}/vda.{request.Format}"]));
        On(operations, AgentMethods.PointMount, request => Give(request.Replica, new MountInfo(
            request.Mount, request.Point, request.Branch, null, request.Writable, ["/dev/nbd3"], TimeProvider.System.GetUtcNow())));
        On(operations, AgentMethods.PointAttach, request => Give(request.Replica, new MountInfo(
            request.Attach, request.Point, request.Branch, request.ToVm, request.Writable, ["vdb"], TimeProvider.System.GetUtcNow())));
        On(operations, AgentMethods.PointUnmount, request => Take(request.Replica, request.Mount));
        On(operations, AgentMethods.PointDetach, request => Take(request.Replica, request.Attach));
        On(operations, AgentMethods.BranchDelete, request =>
        {
            FakeReplica held = Replicas[request.Replica];
            held.Branches.RemoveAll(branch => branch.Id == request.Branch);
            _link!.Post(Report(held));
            return new Removed(["overlay"], []);
        });
    }

    private PointMounted Give(ReplicaId replica, MountInfo mount)
    {
        Replicas[replica].Mounts.RemoveAll(given => given.Id == mount.Id); // asked twice, it is given once
        Replicas[replica].Mounts.Add(mount);
        Post(Replicas[replica]);
        return new PointMounted(mount.Devices);
    }

    private Removed Take(ReplicaId replica, MountId mount)
    {
        Replicas[replica].Mounts.RemoveAll(given => given.Id == mount);
        Post(Replicas[replica]);
        return new Removed(["devices"], []);
    }
}
