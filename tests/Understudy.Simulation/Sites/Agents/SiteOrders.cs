using Understudy.Agent;
using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Protection;
using Understudy.Protection.Target.Definition;
using Understudy.Protection.Target.Runs;
using TestStarted = Understudy.Api.Control.TestStarted;

namespace Understudy.Simulation.Sites.Agents;

/// <summary>The vault's orders in the engines' words, as the executable binds them.</summary>
internal static class SiteOrders
{
    public static void Register(AgentOperations operations, SourceSide source, TargetSide target)
    {
        operations.On(AgentMethods.SourceProtect, (request, _, _) => Done(() => source.ProtectAsync(request)));
        operations.On(AgentMethods.SourceConfigure, (request, _, _) => Done(() => source.ConfigureAsync(request)));
        operations.On(AgentMethods.SourceUnprotect, (request, _, _) => Answer(() => source.UnprotectAsync(request)));

        operations.On(AgentMethods.ReplicaCreate, (request, _, _) => Answer(() => target.CreateAsync(request)));
        operations.On(AgentMethods.ReplicaConfigure, (request, _, ct) => Done(
            async () => await target.Find(request.Replica).ConfigureAsync(request.Settings.Retention, ct)));
        operations.On(AgentMethods.PointsList, (request, _, _) => Answer(() => Task.FromResult(
            new PointsAnswer([.. target.Find(request.Replica).Points.Select(Reports.Of)]))));
        operations.On(AgentMethods.TestStart, (request, _, ct) => Answer(async () =>
        {
            TestRequest order = new(
                request.Test.Value, request.Point, request.VmName, request.Isolated ? TestNetworkKind.Bubble : TestNetworkKind.None, []);
            var started = await target.Find(request.Replica).StartTestAsync(order, ct);
            return new TestStarted(started.VmName, started.Network, started.Made, started.Notes);
        }));
        operations.On(AgentMethods.TestComplete, (request, _, ct) => Answer(async () => Of(
            await target.Find(request.Replica).CompleteTestAsync(request.Test.Value, request.Note, ct))));
        operations.On(AgentMethods.FailoverStart, (request, _, ct) => Answer(async () =>
        {
            FailoverRequest order = new(request.Point, request.VmName, Cards(request.Nics));
            var started = await target.Find(request.Replica).StartFailoverAsync(order, ct);
            return new Api.Control.FailoverStarted(started.Line, started.VmName, started.Made, started.Notes);
        }));
        operations.On(AgentMethods.Commit, (request, _, ct) => Answer(async () =>
        {
            CommitOutcome outcome = await target.Find(request.Replica).CommitAsync(ct);
            return new Committed(outcome.Images, outcome.Pending);
        }));
        operations.On(AgentMethods.PointExport, (request, _, ct) => Answer(async () => new PointExported(
            await target.Find(request.Replica).ExportPointAsync(request.Point, request.Folder, request.Format, ct))));
        operations.On(AgentMethods.TargetUnprotect, (request, _, _) => Answer(() => target.UnprotectAsync(request.Vm, request.Replica)));
    }

    private static CardPlan[] Cards(IReadOnlyList<NicPlan> nics) => [.. nics.Select(n => new CardPlan(n.Mac, n.TargetNetwork, n.NewMac))];

    private static Removed Of(RemovedThings things) => new(things.Gone, things.Kept);

    private static async Task<Nothing> Done(Func<Task> order) => await Answer(async () =>
    {
        await order();
        return Nothing.Value;
    });

    private static async Task<T> Answer<T>(Func<Task<T>> order)
    {
        try
        {
            return await order();
        }
        catch (RefusedException refused)
        {
            throw new ErrorException(
                new ErrorInfo(ErrorKind.Refused, RefusalWords.CodeOf(refused.Code), refused.Message, "Nothing was changed.", refused.Remedy ?? ""), refused);
        }
    }
}
