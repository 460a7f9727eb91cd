using Microsoft.AspNetCore.Http;

namespace Understudy.Vault.Rest;

/// <summary>
/// A slash in a name (a device that is unmounted, the label of a point) arrives as %2F and stays so, because the path is
/// decoded before it is taken apart. Whoever looks for the name, or says that there is none, means the name.
/// </summary>
internal static class RouteNames
{
    private const string Slash = "%2F";

    public static Task ReadAsync(HttpContext context, RequestDelegate next)
    {
        foreach ((string name, object? value) in context.Request.RouteValues.ToArray())
        {
            if (value is string text && text.Contains(Slash, StringComparison.OrdinalIgnoreCase))
            {
                context.Request.RouteValues[name] = text.Replace(Slash, "/", StringComparison.OrdinalIgnoreCase);
            }
        }

        return next(context);
    }
}
