using Understudy.Api.Control;

namespace Understudy.Agent;

/// <summary>The vault's orders for the side that sends.</summary>
internal static class SourceOrders
{
    public static void Register(AgentOperations operations, SourceSide source)
    {
        operations.On(AgentMethods.SourceProtect, async (request, _, ct) =>
        {
            await source.ProtectAsync(request, ct);
            return Nothing.Value;
        });
        operations.On(AgentMethods.SourceConfigure, async (request, _, ct) =>
        {
            await source.ConfigureAsync(request, ct);
            return Nothing.Value;
        });
        operations.On(AgentMethods.SourceDisks, async (request, _, ct) =>
        {
            await source.SetDisksAsync(request, ct);
            return Nothing.Value;
        });
        operations.On(AgentMethods.SourceUnprotect, (request, _, ct) => source.UnprotectAsync(request, ct));
    }
}
