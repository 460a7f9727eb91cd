using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Definition;
using Understudy.Protection.Target.Mounts;
using Understudy.Protection.Target.Runs;

namespace Understudy.Agent;

/// <summary>The vault's orders for the recovery side, in the engine's words.</summary>
internal static class TargetOrders
{
    /// <param name="receiver">Asked, by name or id, before a VM of this host is given disks; throws where it may not have them.</param>
    public static void Register(AgentOperations operations, TargetSide target, Func<string, CancellationToken, ValueTask>? receiver = null)
    {
        operations.On(AgentMethods.ReplicaCreate, (request, _, ct) => OrderAnswer.Of(() => target.CreateAsync(request, ct)));
        operations.On(AgentMethods.SeedCheck, (request, _, ct) => OrderAnswer.Of(() => target.CheckSeedsAsync(request, ct)));
        operations.On(AgentMethods.ReplicaConfigure, (request, _, ct) => OrderAnswer.Done(() => target.ConfigureAsync(request, ct)));
        operations.On(AgentMethods.TargetUnprotect, (request, _, ct) => OrderAnswer.Of(() => target.UnprotectAsync(request, ct)));
        operations.On(AgentMethods.TestStart, (request, _, ct) => OrderAnswer.Of(() => StartTestAsync(target, request, ct)));
        operations.On(AgentMethods.TestComplete, (request, _, ct) => OrderAnswer.Of(
            async () => Words(await target.Find(request.Replica).CompleteTestAsync(request.Test.Value, request.Note, ct))));
        RegisterFailover(operations, target);
        RegisterPoints(operations, target, receiver ?? ((_, _) => ValueTask.CompletedTask));
    }

    private static void RegisterFailover(AgentOperations operations, TargetSide target)
    {
        operations.On(AgentMethods.FailoverStart, (request, _, ct) => OrderAnswer.Of(() => target.Power.ChangeAsync(request.Vm, () => FailOverAsync(target, request, ct))));
        operations.On(AgentMethods.ChangePoint, (request, _, ct) => OrderAnswer.Of(() => target.Power.ChangeAsync(request.Vm, () => ChangePointAsync(target, request, ct))));
        operations.On(AgentMethods.FailoverCancel, (request, _, ct) => OrderAnswer.Of(() => target.Power.ChangeAsync(request.Vm, async () =>
        {
            Protection.Target.Runs.FailoverCancelled cancelled = await target.Find(request.Replica).CancelAsync(
                new CancelOrder(request.Transfer, request.Source.Value, request.BranchDays), ct);
            return new Api.Control.FailoverCancelled(cancelled.Line, cancelled.Parent, cancelled.Branch);
        })));
        operations.On(AgentMethods.TransferRefuse, (request, _, ct) => OrderAnswer.Done(() => target.Find(request.Replica).RefuseTransferAsync(request.Transfer, ct).AsTask()));
        operations.On(AgentMethods.TransferSettled, (request, _, ct) => OrderAnswer.Done(() => target.Find(request.Replica).SettleTransferAsync(request.Transfer, ct).AsTask()));
        operations.On(AgentMethods.TargetRevalidate, (request, _, ct) => OrderAnswer.Done(
            () => target.Find(request.Replica).RevalidateAsync(request.Line, request.Valid, ct).AsTask()));
        operations.On(AgentMethods.Commit, (request, _, ct) => OrderAnswer.Of(async () =>
        {
            CommitOutcome outcome = await target.Find(request.Replica).CommitAsync(ct);
            return new Committed(outcome.Images, outcome.Pending);
        }));
    }

    private static void RegisterPoints(AgentOperations operations, TargetSide target, Func<string, CancellationToken, ValueTask> receiver)
    {
        operations.On(AgentMethods.PointsList, (request, _, _) => OrderAnswer.Of(() =>
        {
            ReplicaHost host = target.Find(request.Replica);
            return Task.FromResult(new PointsAnswer([.. host.Points.Select(Reports.Of)], [.. host.Status.Branches.Select(Reports.Of)]));
        }));
        operations.On(AgentMethods.PointExport, (request, _, ct) => OrderAnswer.Of(async () => new PointExported(request.Branch is { } branch
            ? await target.Find(request.Replica).ExportBranchAsync(branch, request.Folder, request.Format, ct)
            : await target.Find(request.Replica).ExportPointAsync(request.Point, request.Folder, request.Format, ct))));
        operations.On(AgentMethods.PointMount, (request, _, ct) => OrderAnswer.Of(() => MountAsync(
            target, request.Replica, new MountOrder(request.Mount.Value, request.Point, request.Branch, ToVm: null, request.Writable), ct)));
        operations.On(AgentMethods.PointAttach, (request, _, ct) => OrderAnswer.Of(async () =>
        {
            await receiver(request.ToVm, ct);
            return await MountAsync(
                target, request.Replica, new MountOrder(request.Attach.Value, request.Point, request.Branch, request.ToVm, request.Writable), ct);
        }));
        operations.On(AgentMethods.PointUnmount, (request, _, ct) => OrderAnswer.Of(
            async () => Words(await target.Find(request.Replica).UnmountAsync(request.Mount.Value, ct))));
        operations.On(AgentMethods.PointDetach, (request, _, ct) => OrderAnswer.Of(
            async () => Words(await target.Find(request.Replica).UnmountAsync(request.Attach.Value, ct))));
        operations.On(AgentMethods.BranchDelete, (request, _, ct) => OrderAnswer.Of(
            async () => Words(await target.Find(request.Replica).DeleteBranchAsync(request.Branch, ct))));
    }

    private static async Task<Api.Control.TestStarted> StartTestAsync(TargetSide target, TestStartRequest request, CancellationToken ct)
    {
        await target.RequireNetworksAsync(request.Nics.Select(nic => nic.Network), ct);
        TestNetworkKind network = request.Isolated ? TestNetworkKind.Bubble
            : request.Nics.All(nic => nic is { Network: null, Isolated: false }) ? TestNetworkKind.None
            : TestNetworkKind.Chosen;
        TestRequest order = new(
            request.Test.Value, request.Point, request.VmName, network, [.. request.Nics.Select(nic => new TestCard(nic.Mac, nic.Network, nic.Isolated, nic.NewMac))])
        {
            Branch = request.Branch,
            Size = new VmSize(request.Cpus, request.MemoryBytes),
            Label = request.Label,
        };
        Protection.Target.Runs.TestStarted started = await target.Find(request.Replica).StartTestAsync(order, ct);
        return new Api.Control.TestStarted(started.VmName, started.Network, started.Made, started.Notes);
    }

    private static async Task<Api.Control.FailoverStarted> FailOverAsync(TargetSide target, FailoverStartRequest request, CancellationToken ct)
    {
        ReplicaHost replica = target.Find(request.Replica);
        if (replica.Status.Failover is null) // one that has begun goes on, whatever became of a network meanwhile
        {
            await target.RequireNetworksAsync(request.Nics.Select(nic => nic.TargetNetwork), ct);
        }

        FailoverRequest order = new(request.Point, request.VmName, Cards(request.Nics))
        {
            Transfer = request.Transfer,
            FromTest = request.FromTest?.Value,
            Size = new VmSize(request.Cpus, request.MemoryBytes),
            BranchDays = request.BranchDays,
            Label = request.Label,
        };
        return Words(await replica.StartFailoverAsync(order, ct));
    }

    private static async Task<Api.Control.FailoverStarted> ChangePointAsync(TargetSide target, ChangePointRequest request, CancellationToken ct)
    {
        ReplicaHost replica = target.Find(request.Replica);
        await target.RequireNetworksAsync((request.Nics ?? []).Select(nic => nic.TargetNetwork), ct);
        return Words(await replica.ChangePointAsync(
            new ChangePointOrder(
                request.Point, request.BranchDays, request.Label, request.VmName, request.Nics is { } nics ? Cards(nics) : null, request.Cpus, request.MemoryBytes),
            ct));
    }

    private static async Task<PointMounted> MountAsync(TargetSide target, ReplicaId replica, MountOrder order, CancellationToken ct)
    {
        MountRecord mount = await target.Find(replica).MountAsync(order, ct);
        return new PointMounted([.. mount.Disks.Select(disk => disk.Device ?? "")]);
    }

    private static CardPlan[] Cards(IReadOnlyList<NicPlan> nics) => [.. nics.Select(n => new CardPlan(n.Mac, n.TargetNetwork, n.NewMac))];

    private static Api.Control.FailoverStarted Words(Protection.Target.Runs.FailoverStarted started) =>
        new(started.Line, started.VmName, started.Made, started.Notes, started.Branch);

    private static Removed Words(RemovedThings things) => new(things.Gone, things.Kept);
}
