using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Source;
using Understudy.Protection.Source.Guest;
using JournalKind = Understudy.Journal.Records.PointKind;

namespace Understudy.Agent;

/// <summary>The vault's orders for the side that sends, in the engine's words.</summary>
internal static class SourceOrders
{
    public static void Register(AgentOperations operations, SourceSide source)
    {
        operations.On(AgentMethods.SourceProtect, (request, _, ct) => OrderAnswer.Done(() => source.ProtectAsync(request, ct)));
        operations.On(AgentMethods.SourceConfigure, (request, _, ct) => OrderAnswer.Done(() => source.ConfigureAsync(request, ct)));
        operations.On(AgentMethods.SourceDisks, (request, _, ct) => OrderAnswer.Done(() => source.SetDisksAsync(request, ct)));
        operations.On(AgentMethods.SourceUnprotect, (request, _, ct) => OrderAnswer.Of(() => source.UnprotectAsync(request, ct)));
        operations.On(AgentMethods.SourceBranchDelete, (request, _, ct) => OrderAnswer.Of(() => source.DeleteBranchAsync(request, ct)));
        RegisterReplication(operations, source);
        RegisterHandOver(operations, source);
        RegisterOwnership(operations, source);
    }

    private static void RegisterReplication(AgentOperations operations, SourceSide source)
    {
        operations.On(AgentMethods.SourceCycle, (request, context, ct) => OrderAnswer.Of(async () =>
        {
            // An order that was cut short by a stop of this agent comes again under the same id, and makes no second point.
            Guid order = context.Operation?.Value ?? Guid.NewGuid();
            JournalKind kind = request.Kind == PointKind.Bookmark ? JournalKind.Bookmark : JournalKind.Crash;
            return Made(await source.FindHost(request.Vm, request.Replica).Engine.CycleAsync(order, kind, request.Label, ct));
        }));
        operations.On(AgentMethods.SourcePause, (request, _, ct) => OrderAnswer.Done(
            () => source.FindHost(request.Vm, request.Replica).Engine.PauseAsync(request.By, ct).AsTask()));
        operations.On(AgentMethods.SourceResume, (request, _, ct) => OrderAnswer.Done(
            () => source.FindHost(request.Vm, request.Replica).Engine.ResumeAsync(ct).AsTask()));
        operations.On(AgentMethods.SourceResync, (request, _, ct) => OrderAnswer.Done(
            () => source.FindHost(request.Vm, request.Replica).Engine.ResynchroniseAsync(ct).AsTask()));
    }

    private static void RegisterHandOver(AgentOperations operations, SourceSide source)
    {
        operations.On(AgentMethods.SourceFence, (request, _, ct) => OrderAnswer.Done(
            () => source.FindHost(request.Vm, request.Replica).FenceAsync(request.Reason, ct).AsTask()));
        operations.On(AgentMethods.SourceUnfence, (request, _, ct) => OrderAnswer.Done(
            () => source.FindHost(request.Vm, request.Replica).UnfenceAsync(request.Start, ct).AsTask()));
        operations.On(AgentMethods.SourceStopGuest, (request, _, ct) => OrderAnswer.Of(async () =>
        {
            GuestStop stop = await source.FindHost(request.Vm, request.Replica).StopGuestAsync(request.PowerOff, request.Timeout, ct);
            return new GuestStopped(stop.Off, stop.Waited, stop.PoweredOff);
        }));
        operations.On(AgentMethods.SourceLastChange, (request, _, ct) => OrderAnswer.Of(
            async () => Made(await source.FindHost(request.Vm, request.Replica).Engine.LastChangeAsync(request.Label, ct))));
        operations.On(AgentMethods.SourceOffer, (request, _, ct) => OrderAnswer.Of(async () =>
        {
            RecoveryPointId point = await source.FindHost(request.Vm, request.Replica).Engine.OfferAsync(request.Transfer, request.To.Value, ct);
            return new SourceOffered(point.Line, point);
        }));
        operations.On(AgentMethods.SourceHandedOver, (request, _, ct) => OrderAnswer.Done(
            () => source.FindHost(request.Vm, request.Replica).HandedOverAsync(request.Transfer, request.Line, ct).AsTask()));
        operations.On(AgentMethods.SourceTakeBack, (request, _, ct) => OrderAnswer.Done(
            () => source.FindHost(request.Vm, request.Replica).TakeBackAsync(request.Transfer, request.Start, ct).AsTask()));
    }

    private static void RegisterOwnership(AgentOperations operations, SourceSide source)
    {
        operations.On(AgentMethods.SourceAccept, (request, _, ct) => OrderAnswer.Done(
            () => source.FindHost(request.Vm, request.Replica).AcceptAsync(request.Transfer, request.Line, request.Parent, request.Start, ct).AsTask()));
        operations.On(AgentMethods.SourceDepose, (request, _, ct) => OrderAnswer.Done(
            () => source.FindHost(request.Vm, request.Replica).DeposeAsync(request.Line, request.MintedAt, SourceWords.ActionOf(request.Action), ct).AsTask()));
        operations.On(AgentMethods.SourceRevalidate, (request, _, ct) => OrderAnswer.Done(
            () => source.FindHost(request.Vm, request.Replica).RevalidateAsync(new NewerLine(request.Line, request.MintedAt), request.Valid, ct).AsTask()));
    }

    private static PointMade Made(SourcePoint point) => new(SourceWords.Of(point));
}
