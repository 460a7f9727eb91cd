using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Protection;

namespace Understudy.Agent;

/// <summary>An order's outcome in the control plane's words.</summary>
internal static class OrderAnswer
{
    public static Task<Nothing> Done(Func<Task> order) => Of(async () =>
    {
        await order();
        return Nothing.Value;
    });

    /// <summary>A refusal of the engine keeps its own code; programs and the error page know it by that.</summary>
    public static async Task<T> Of<T>(Func<Task<T>> order)
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
