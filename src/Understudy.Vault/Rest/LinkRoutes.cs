using System.Security.Claims;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Understudy.Api.Rest;
using Understudy.Vault.Security;
using Understudy.Vault.Sites;

namespace Understudy.Vault.Rest;

/// <summary>Which site of two listens.</summary>
internal static class LinkRoutes
{
    public static void Map(RouteGroupBuilder api) =>
        api.MapPut("/links", (SiteLinkSetDto body, ClaimsPrincipal user, LinkCommand links, CancellationToken ct) => links.SetAsync(body, user.UserName(), ct))
            .WithName("linkSites").WithSummary("Chooses which of two sites listens for replication; the other one dials, whichever way a VM is replicated");
}
