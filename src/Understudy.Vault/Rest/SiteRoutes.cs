using System.Security.Claims;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Understudy.Api.Registration;
using Understudy.Api.Rest;
using Understudy.Vault.Protection;
using Understudy.Vault.Security;
using Understudy.Vault.Sites;

namespace Understudy.Vault.Rest;

/// <summary>Sites, keys, joining, hosts, networks.</summary>
internal static class SiteRoutes
{
    public static void Map(RouteGroupBuilder api)
    {
        api.MapGet("/sites", (SiteStore sites, CancellationToken ct) => sites.ListAsync(ct))
            .WithName("listSites").WithSummary("All sites with their hosts");
        api.MapPost("/sites", async (SiteAddDto body, SiteStore sites, CancellationToken ct) =>
            {
                SiteDto site = await sites.AddAsync(body.Name, ct);
                return TypedResults.Created($"/api/v1/sites/{site.Name}", site);
            })
            .WithName("addSite").WithSummary("Adds a site");
        api.MapDelete("/sites/{site}", async (string site, SiteStore sites, CancellationToken ct) =>
            {
                await sites.RemoveAsync(site, ct);
                return TypedResults.NoContent();
            })
            .WithName("removeSite").WithSummary("Removes a site that has no hosts");
        api.MapPost("/sites/{site}/keys", async (string site, KeyAddDto body, Registration registration, CancellationToken ct) =>
                TypedResults.Ok(await registration.MakeKeyAsync(site, body.ValidFor, ct)))
            .WithName("makeKey").WithSummary("Makes a registration key file: one use, expires");
        MapJoining(api);
        MapHosts(api);
        MapMaintenance(api);
        MapNetworks(api);
        MapStorage(api);
    }

    private static void MapJoining(RouteGroupBuilder api)
    {
        api.MapPost("/join", (JoinDto body, Registration registration, CancellationToken ct) => registration.JoinAsync(body, ct))
            .AllowAnonymous() // the key's secret in the body is the right to do it
            .WithName("join").WithSummary("Joins a host with a registration key and signs its certificate");
        api.MapPost("/agent/certificate", (RenewCertificateDto body, ClaimsPrincipal agent, Registration registration) =>
                TypedResults.Ok(registration.Renew(agent.AgentHost(), body)))
            .RequireAuthorization(Authentication.Agents)
            .WithName("renewCertificate").WithSummary("Signs a new certificate for the agent that asks with its present one");
    }

    private static void MapHosts(RouteGroupBuilder api)
    {
        api.MapGet("/hosts", (HostStore hosts, CancellationToken ct) => hosts.ListAsync(ct))
            .WithName("listHosts").WithSummary("All hosts");
        api.MapGet("/hosts/{host}", (string host, HostStore hosts, CancellationToken ct) => hosts.GetAsync(host, ct))
            .WithName("getHost").WithSummary("One host by name or id");
        api.MapPost("/hosts/{host}/check", (string host, HostStore hosts, CancellationToken ct) => hosts.CheckAsync(host, ct))
            .WithName("checkHost").WithSummary("Checks a host: each finding a pass, a warning or an error with what to do");
        api.MapDelete("/hosts/{host}", async Task<NoContent> (string host, HostStore hosts, CancellationToken ct) =>
            {
                await hosts.RemoveAsync(host, ct);
                return TypedResults.NoContent();
            })
            .WithName("removeHost").WithSummary("Removes a host that takes part in no protection");
    }

    private static void MapMaintenance(RouteGroupBuilder api)
    {
        api.MapGet("/hosts/{host}/maintenance", (string host, HostMaintenance maintenance, CancellationToken ct) => maintenance.ShowAsync(host, ct))
            .WithName("showMaintenance").WithSummary("Which VMs a maintenance of the host concerns, and how; and the one that is on");
        api.MapPost("/hosts/{host}/maintenance", (string host, MaintenanceBeginDto body, ClaimsPrincipal user, HostMaintenance maintenance, CancellationToken ct) =>
                maintenance.BeginAsync(host, body, user.UserName(), ct))
            .WithName("beginMaintenance").WithSummary("Announces a reboot: guests of the host are shut down and their last changes sent");
        api.MapPost("/hosts/{host}/maintenance/end", (string host, ClaimsPrincipal user, HostMaintenance maintenance, CancellationToken ct) =>
                maintenance.EndAsync(host, user.UserName(), ct))
            .WithName("endMaintenance").WithSummary("Ends a maintenance: the VMs are given back");
    }

    private static void MapStorage(RouteGroupBuilder api)
    {
        api.MapGet("/pools", (StorageMapStore mappings, CancellationToken ct) => mappings.ListPoolsAsync(ct))
            .WithName("listPools").WithSummary("Storage pools of all hosts and where they are mapped to");
        api.MapGet("/storage-mappings", (StorageMapStore mappings, CancellationToken ct) => mappings.ListAsync(ct))
            .WithName("listStorageMappings").WithSummary("All storage mappings");
        api.MapPut("/storage-mappings", (MapStorageDto body, StorageMapStore mappings, CancellationToken ct) => mappings.MapAsync(body, ct))
            .WithName("mapStorage").WithSummary("Maps a storage pool of one site to one of another, for VMs that are protected from now on");
        api.MapDelete("/storage-mappings/{sourceSite}/{sourcePool}/{targetSite}",
                async Task<NoContent> (string sourceSite, string sourcePool, string targetSite, StorageMapStore mappings, CancellationToken ct) =>
                {
                    await mappings.UnmapAsync(sourceSite, sourcePool, targetSite, ct);
                    return TypedResults.NoContent();
                })
            .WithName("unmapStorage").WithSummary("Removes a storage mapping");
    }

    private static void MapNetworks(RouteGroupBuilder api)
    {
        api.MapGet("/networks", (MappingStore mappings, CancellationToken ct) => mappings.ListNetworksAsync(ct))
            .WithName("listNetworks").WithSummary("Networks of all hosts and where they are mapped to");
        api.MapGet("/mappings", (MappingStore mappings, CancellationToken ct) => mappings.ListAsync(ct))
            .WithName("listMappings").WithSummary("All network mappings");
        api.MapPut("/mappings", (MapNetworkDto body, MappingStore mappings, CancellationToken ct) => mappings.MapAsync(body, ct))
            .WithName("mapNetwork").WithSummary("Maps a network of one site to one of another");
        api.MapDelete("/mappings/{sourceSite}/{sourceNetwork}/{targetSite}",
                async Task<NoContent> (string sourceSite, string sourceNetwork, string targetSite, MappingStore mappings, CancellationToken ct) =>
                {
                    await mappings.UnmapAsync(sourceSite, sourceNetwork, targetSite, ct);
                    return TypedResults.NoContent();
                })
            .WithName("unmapNetwork").WithSummary("Removes a mapping");
    }
}
