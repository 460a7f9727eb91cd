using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Protection;
using Understudy.Protection.Target.Definition;
using Understudy.Protection.Target.Runs;

namespace Understudy.Agent;

/// <summary>The vault's orders for the recovery side, in the engine's words.</summary>
internal static class TargetOrders
{
    public static void Register(AgentOperations operations, TargetSide target)
    {
        operations.On(AgentMethods.ReplicaCreate, (request, _, ct) => Answer(() => target.CreateAsync(request, ct)));
        operations.On(AgentMethods.ReplicaConfigure, (request, _, ct) => Answer(async () =>
        {
            await target.ConfigureAsync(request, ct);
            return Nothing.Value;
        }));
        operations.On(AgentMethods.PointsList, (request, _, _) => Answer(() => Task.FromResult(
            new PointsAnswer([.. target.Find(request.Replica).Points.Select(Reports.Of)]))));
        operations.On(AgentMethods.TestStart, (request, _, ct) => Answer(() => StartTestAsync(target, request, ct)));
        operations.On(AgentMethods.TestComplete, (request, _, ct) => Answer(async () =>
        {
            RemovedThings things = await target.Find(request.Replica).CompleteTestAsync(request.Test.Value, note: null, ct);
            return new Removed(things.Gone, things.Kept);
        }));
        operations.On(AgentMethods.FailoverStart, (request, _, ct) => Answer(() => FailOverAsync(target, request, ct)));
        operations.On(AgentMethods.Commit, (request, _, ct) => Answer(async () =>
        {
            CommitOutcome outcome = await target.Find(request.Replica).CommitAsync(ct);
            return new Committed(outcome.Images, outcome.Pending);
        }));
        operations.On(AgentMethods.TargetUnprotect, (request, _, ct) => Answer(() => target.UnprotectAsync(request.Vm, request.Replica, ct)));
        operations.On(AgentMethods.PointExport, (request, _, ct) => Answer(async () => new PointExported(
            await target.Find(request.Replica).ExportPointAsync(request.Point, request.Folder, request.Format, ct))));
    }

    private static async Task<Api.Control.TestStarted> StartTestAsync(TargetSide target, TestStartRequest request, CancellationToken ct)
    {
        TestNetworkKind network = request.Isolated ? TestNetworkKind.Bubble
            : request.Nics.All(n => n.TestNetwork is null) ? TestNetworkKind.None
            : TestNetworkKind.Chosen;
        TestRequest order = new(
            request.Test.Value, request.Point, request.VmName, network, [.. request.Nics.Select(n => new CardPlan(n.Mac, n.TestNetwork))]);
        Protection.Target.Runs.TestStarted started = await target.Find(request.Replica).StartTestAsync(order, ct);
        return new Api.Control.TestStarted(started.VmName, started.Network, [.. started.Made, .. started.Notes]);
    }

    private static async Task<Api.Control.FailoverStarted> FailOverAsync(TargetSide target, FailoverStartRequest request, CancellationToken ct)
    {
        FailoverRequest order = new(request.Point, request.VmName, [.. request.Nics.Select(n => new CardPlan(n.Mac, n.TargetNetwork, n.NewMac))]);
        Protection.Target.Runs.FailoverStarted started = await target.Find(request.Replica).StartFailoverAsync(order, ct);
        return new Api.Control.FailoverStarted(started.Line, started.VmName, [.. started.Made, .. started.Notes]);
    }

    /// <summary>A refusal of the engine keeps its own code; programs and the error page know it by that.</summary>
    private static async Task<T> Answer<T>(Func<Task<T>> order)
    {
        try
        {
            return await order();
        }
        catch (RefusedException e)
        {
            throw new ErrorException(
                new ErrorInfo(ErrorKind.Refused, RefusalWords.CodeOf(e.Code), e.Message.TrimEnd('.'), "Nothing was changed.", e.Remedy ?? "See the agent's log."), e);
        }
    }
}
