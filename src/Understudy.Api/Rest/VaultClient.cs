using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Understudy.Api.Json;
using Understudy.Api.Registration;
using Understudy.Model;

namespace Understudy.Api.Rest;

/// <summary>
/// The vault's REST API, typed. Every method throws <see cref="ErrorException"/> with the vault's own words when it says
/// no, and with <c>vault-unreachable</c> when it does not answer.
/// </summary>
public sealed class VaultClient(HttpClient http) : IDisposable
{
    private readonly HttpClient _http = http;

    /// <param name="caCertificatePem">The vault's authority, the only one believed; null for the system's.</param>
    public static VaultClient Create(Uri vault, string token, string? caCertificatePem)
    {
        HttpClient http = new(PinnedTls.Handler(caCertificatePem), disposeHandler: true) { BaseAddress = vault, Timeout = TimeSpan.FromMinutes(2) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return new VaultClient(http);
    }

    private static ApiJson Json => ApiJson.Default;

    public Task<StatusDto> GetStatusAsync(CancellationToken ct) => GetAsync("api/v1/status", Json.StatusDto, ct);

    /// <summary>Copies of the vault's state that hosts keep.</summary>
    public Task<VaultCopiesDto> ListCopiesAsync(CancellationToken ct) => GetAsync("api/v1/vault/copies", Json.VaultCopiesDto, ct);

    /// <summary>A copy now, instead of when it is due.</summary>
    public Task<VaultCopiesDto> CopyVaultAsync(CancellationToken ct) => PostAsync("api/v1/vault/copies", Json.VaultCopiesDto, ct);

    public Task<IReadOnlyList<SiteDto>> ListSitesAsync(CancellationToken ct) => GetAsync("api/v1/sites", Json.IReadOnlyListSiteDto, ct);

    public Task<SiteDto> AddSiteAsync(string name, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, "api/v1/sites", new SiteAddDto(name), Json.SiteAddDto, Json.SiteDto, ct);

    public Task RemoveSiteAsync(string site, CancellationToken ct) => DeleteAsync($"api/v1/sites/{Part(site)}", ct);

    /// <summary>Chooses which of two sites listens for the other.</summary>
    public Task<SiteLinkedDto> LinkSitesAsync(SiteLinkSetDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Put, "api/v1/links", request, Json.SiteLinkSetDto, Json.SiteLinkedDto, ct);

    public Task<RegistrationKeyFile> MakeKeyAsync(string site, string? validFor, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/sites/{Part(site)}/keys", new KeyAddDto(validFor), Json.KeyAddDto, Json.RegistrationKeyFile, ct);

    public Task<IReadOnlyList<HostDto>> ListHostsAsync(CancellationToken ct) => GetAsync("api/v1/hosts", Json.IReadOnlyListHostDto, ct);

    public Task<HostDto> GetHostAsync(string host, CancellationToken ct) => GetAsync($"api/v1/hosts/{Part(host)}", Json.HostDto, ct);

    public Task<HostCheckDto> CheckHostAsync(string host, CancellationToken ct) =>
        PostAsync($"api/v1/hosts/{Part(host)}/check", Json.HostCheckDto, ct);

    public Task<HostMaintenanceDto> ShowMaintenanceAsync(string host, CancellationToken ct) =>
        GetAsync($"api/v1/hosts/{Part(host)}/maintenance", Json.HostMaintenanceDto, ct);

    public Task<HostMaintenanceDto> BeginMaintenanceAsync(string host, MaintenanceBeginDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/hosts/{Part(host)}/maintenance", request, Json.MaintenanceBeginDto, Json.HostMaintenanceDto, ct);

    public Task<HostMaintenanceDto> EndMaintenanceAsync(string host, CancellationToken ct) =>
        PostAsync($"api/v1/hosts/{Part(host)}/maintenance/end", Json.HostMaintenanceDto, ct);

    /// <summary>A new proxy is answered when it has been tried, which takes up to a minute.</summary>
    public Task<HostDto> SetHostAsync(string host, HostSetDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Patch, $"api/v1/hosts/{Part(host)}", request, Json.HostSetDto, Json.HostDto, ct);

    public Task RemoveHostAsync(string host, string? reason, CancellationToken ct) =>
        DeleteAsync($"api/v1/hosts/{Part(host)}{(reason is null ? "" : $"?reason={Escape(reason)}")}", ct);

    public Task<IReadOnlyList<NetworkDto>> ListNetworksAsync(CancellationToken ct) => GetAsync("api/v1/networks", Json.IReadOnlyListNetworkDto, ct);

    public Task<IReadOnlyList<MappingDto>> ListMappingsAsync(CancellationToken ct) => GetAsync("api/v1/mappings", Json.IReadOnlyListMappingDto, ct);

    public Task<MappingDto> MapNetworkAsync(MapNetworkDto mapping, CancellationToken ct) =>
        SendAsync(HttpMethod.Put, "api/v1/mappings", mapping, Json.MapNetworkDto, Json.MappingDto, ct);

    public Task UnmapNetworkAsync(string sourceSite, string sourceNetwork, string targetSite, CancellationToken ct) =>
        DeleteAsync($"api/v1/mappings/{Part(sourceSite)}/{Part(sourceNetwork)}/{Part(targetSite)}", ct);

    public Task<IReadOnlyList<PoolDto>> ListPoolsAsync(CancellationToken ct) => GetAsync("api/v1/pools", Json.IReadOnlyListPoolDto, ct);

    public Task<IReadOnlyList<StorageMappingDto>> ListStorageMappingsAsync(CancellationToken ct) =>
        GetAsync("api/v1/storage-mappings", Json.IReadOnlyListStorageMappingDto, ct);

    public Task<StorageMappingDto> MapStorageAsync(MapStorageDto mapping, CancellationToken ct) =>
        SendAsync(HttpMethod.Put, "api/v1/storage-mappings", mapping, Json.MapStorageDto, Json.StorageMappingDto, ct);

    public Task UnmapStorageAsync(string sourceSite, string sourcePool, string targetSite, CancellationToken ct) =>
        DeleteAsync($"api/v1/storage-mappings/{Part(sourceSite)}/{Part(sourcePool)}/{Part(targetSite)}", ct);

    public Task<IReadOnlyList<PolicyDto>> ListPoliciesAsync(CancellationToken ct) => GetAsync("api/v1/policies", Json.IReadOnlyListPolicyDto, ct);

    public Task<PolicyDto> GetPolicyAsync(string name, CancellationToken ct) => GetAsync($"api/v1/policies/{Part(name)}", Json.PolicyDto, ct);

    public Task<PolicyDto> SetPolicyAsync(string name, PolicySetDto policy, CancellationToken ct) =>
        SendAsync(HttpMethod.Put, $"api/v1/policies/{Part(name)}", policy, Json.PolicySetDto, Json.PolicyDto, ct);

    public Task RemovePolicyAsync(string name, CancellationToken ct) => DeleteAsync($"api/v1/policies/{Part(name)}", ct);

    public Task<IReadOnlyList<VmDto>> ListVmsAsync(CancellationToken ct) => GetAsync("api/v1/vms", Json.IReadOnlyListVmDto, ct);

    /// <param name="select">A rule; null for all.</param>
    /// <param name="tags">Every one of them has to be there as well.</param>
    public Task<IReadOnlyList<VmDto>> ListVmsAsync(string? select, IReadOnlyList<string> tags, CancellationToken ct)
    {
        string[] query = [.. select is null ? Array.Empty<string>() : [$"select={Escape(select)}"], .. tags.Select(tag => $"tag={Escape(tag)}")];
        return GetAsync($"api/v1/vms{(query.Length == 0 ? "" : $"?{string.Join("&", query)}")}", Json.IReadOnlyListVmDto, ct);
    }

    public Task<SelectionDto> ProtectSelectedAsync(ProtectSelectedDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, "api/v1/vms/protect", request, Json.ProtectSelectedDto, Json.SelectionDto, ct);

    public Task<SelectionDto> PauseSelectedAsync(SelectDto request, CancellationToken ct) => SelectedAsync("pause", request, ct);

    public Task<SelectionDto> ResumeSelectedAsync(SelectDto request, CancellationToken ct) => SelectedAsync("resume", request, ct);

    public Task<SelectionDto> ResyncSelectedAsync(SelectDto request, CancellationToken ct) => SelectedAsync("resync", request, ct);

    /// <param name="vm">Name or id, here and below.</param>
    public Task<VmDto> GetVmAsync(string vm, CancellationToken ct) => GetAsync($"api/v1/vms/{Part(vm)}", Json.VmDto, ct);

    public Task<VmVerifyDto> VerifyVmAsync(string vm, ProtectDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/verify", request, Json.ProtectDto, Json.VmVerifyDto, ct);

    public Task<JobDto> ProtectAsync(string vm, ProtectDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/protect", request, Json.ProtectDto, Json.JobDto, ct);

    public Task<JobDto> TestAsync(string vm, TestVmDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/test", request, Json.TestVmDto, Json.JobDto, ct);

    public Task<FailoverPreviewDto> PreviewFailoverAsync(string vm, CancellationToken ct) =>
        GetAsync($"api/v1/vms/{Part(vm)}/failover", Json.FailoverPreviewDto, ct);

    public Task<JobDto> FailoverAsync(string vm, FailoverDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/failover", request, Json.FailoverDto, Json.JobDto, ct);

    public Task<JobDto> SetVmAsync(string vm, VmSetDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Patch, $"api/v1/vms/{Part(vm)}", request, Json.VmSetDto, Json.JobDto, ct);

    public Task<JobDto> PauseAsync(string vm, CancellationToken ct) => PostAsync($"api/v1/vms/{Part(vm)}/pause", Json.JobDto, ct);

    public Task<JobDto> ResumeAsync(string vm, CancellationToken ct) => PostAsync($"api/v1/vms/{Part(vm)}/resume", Json.JobDto, ct);

    public Task<JobDto> ResyncAsync(string vm, CancellationToken ct) => PostAsync($"api/v1/vms/{Part(vm)}/resync", Json.JobDto, ct);

    public Task<JobDto> MarkAsync(string vm, MarkDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/mark", request, Json.MarkDto, Json.JobDto, ct);

    public Task<JobDto> PromoteAsync(string vm, PromoteDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/promote", request, Json.PromoteDto, Json.JobDto, ct);

    public Task<JobDto> ChangePointAsync(string vm, ChangePointDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/change-point", request, Json.ChangePointDto, Json.JobDto, ct);

    /// <summary>Gives the VM back to its source.</summary>
    public Task<JobDto> CancelFailoverAsync(string vm, CancelFailoverDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/cancel", request, Json.CancelFailoverDto, Json.JobDto, ct);

    public Task<JobDto> CommitAsync(string vm, CancellationToken ct) => PostAsync($"api/v1/vms/{Part(vm)}/commit", Json.JobDto, ct);

    /// <param name="keepAtTarget">The VM runs at its target and stays there.</param>
    public Task<JobDto> UnprotectAsync(string vm, bool keepAtTarget, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/unprotect", new UnprotectDto(keepAtTarget), Json.UnprotectDto, Json.JobDto, ct);

    public Task<IReadOnlyList<RpoSampleDto>> ListRpoAsync(string vm, int hours, CancellationToken ct) =>
        GetAsync($"api/v1/vms/{Part(vm)}/rpo?hours={hours}", Json.IReadOnlyListRpoSampleDto, ct);

    public Task<IReadOnlyList<PointDto>> ListPointsAsync(string vm, CancellationToken ct) =>
        GetAsync($"api/v1/vms/{Part(vm)}/points", Json.IReadOnlyListPointDto, ct);

    public Task<PointDto> GetPointAsync(string vm, string point, CancellationToken ct) =>
        GetAsync($"api/v1/vms/{Part(vm)}/points/{Part(point)}", Json.PointDto, ct);

    public Task<IReadOnlyList<BranchDto>> ListBranchesAsync(string vm, CancellationToken ct) =>
        GetAsync($"api/v1/vms/{Part(vm)}/branches", Json.IReadOnlyListBranchDto, ct);

    public Task<JobDto> DeleteBranchAsync(string vm, string branch, string? confirm, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/branches/{Part(branch)}/delete", new DeleteBranchDto(confirm), Json.DeleteBranchDto, Json.JobDto, ct);

    /// <param name="point">Or a branch's name, here and below.</param>
    public Task<JobDto> ExportPointAsync(string vm, string point, ExportDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/points/{Part(point)}/export", request, Json.ExportDto, Json.JobDto, ct);

    public Task<JobDto> MountPointAsync(string vm, string point, MountDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/points/{Part(point)}/mount", request, Json.MountDto, Json.JobDto, ct);

    public Task<JobDto> AttachPointAsync(string vm, string point, AttachDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{Part(vm)}/points/{Part(point)}/attach", request, Json.AttachDto, Json.JobDto, ct);

    /// <param name="mount">By its name or a device.</param>
    public Task<JobDto> TakeMountBackAsync(string vm, string mount, CancellationToken ct) =>
        ReadAsync(new HttpRequestMessage(HttpMethod.Delete, $"api/v1/vms/{Part(vm)}/mounts/{Part(mount)}"), Json.JobDto, ct);

    public Task<IReadOnlyList<JobDto>> ListJobsAsync(int limit, CancellationToken ct) => GetAsync($"api/v1/jobs?limit={limit}", Json.IReadOnlyListJobDto, ct);

    public Task<JobDto> GetJobAsync(long job, CancellationToken ct) => GetAsync($"api/v1/jobs/{job}", Json.JobDto, ct);

    /// <summary>Each new state of the job, beginning with the present one; ends when the job has ended.</summary>
    public IAsyncEnumerable<JobDto> WatchJobAsync(long job, CancellationToken ct) => WatchAsync($"api/v1/jobs/{job}/watch", Json.JobDto, ct);

    public Task<JobDto> CompleteJobAsync(long job, JobCompleteDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/jobs/{job}/complete", request, Json.JobCompleteDto, Json.JobDto, ct);

    public Task<JobDto> CancelJobAsync(long job, CancellationToken ct) => PostAsync($"api/v1/jobs/{job}/cancel", Json.JobDto, ct);

    public Task<JobDto> RetryJobAsync(long job, CancellationToken ct) => PostAsync($"api/v1/jobs/{job}/retry", Json.JobDto, ct);

    /// <summary>Newest last: the newest ones, or the first ones after the given one.</summary>
    public Task<IReadOnlyList<EventDto>> ListEventsAsync(long? after, int limit, CancellationToken ct) =>
        GetAsync($"api/v1/events?limit={limit}{(after is { } number ? $"&after={number}" : "")}", Json.IReadOnlyListEventDto, ct);

    /// <summary>Events after the given one, then each new one as it happens; never ends by itself.</summary>
    public IAsyncEnumerable<EventDto> WatchEventsAsync(long after, CancellationToken ct) => WatchAsync($"api/v1/events/watch?after={after}", Json.EventDto, ct);

    public Task<JoinedDto> JoinAsync(JoinDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, "api/v1/join", request, Json.JoinDto, Json.JoinedDto, ct);

    /// <summary>For agents: the connection must show the present certificate.</summary>
    public Task<RenewedCertificateDto> RenewCertificateAsync(RenewCertificateDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, "api/v1/agent/certificate", request, Json.RenewCertificateDto, Json.RenewedCertificateDto, ct);

    public void Dispose() => _http.Dispose();

    private static string Escape(string text) => Uri.EscapeDataString(text);

    /// <summary>A name in a path. Nothing, "." and ".." would make another path of it, and with that another request.</summary>
    /// <param name="what">The parameter's name, for the words of the refusal.</param>
    private static string Part(string name, [CallerArgumentExpression(nameof(name))] string what = "") => name.Trim() switch
    {
        "" => throw new ErrorException(Errors.MissingValue($"the name of the {WordOf(what)}")),
        "." or ".." => throw new ErrorException(Errors.BadValue(WordOf(what), name, "nothing can have that name")),
        _ => Escape(name),
    };

    private static string WordOf(string parameter) => parameter switch
    {
        "vm" => "VM",
        "name" => "policy",
        "sourceSite" => "source site",
        "targetSite" => "target site",
        "sourceNetwork" => "network",
        "sourcePool" => "pool",
        _ => parameter,
    };

    private Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken ct) =>
        ReadAsync(new HttpRequestMessage(HttpMethod.Get, path), type, ct);

    private Task<T> PostAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken ct) =>
        ReadAsync(new HttpRequestMessage(HttpMethod.Post, path), type, ct);

    private Task<TAnswer> SendAsync<TBody, TAnswer>(
        HttpMethod method, string path, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<TAnswer> answerType, CancellationToken ct) =>
        ReadAsync(new HttpRequestMessage(method, path) { Content = JsonContent.Create(body, bodyType) }, answerType, ct);

    private Task<SelectionDto> SelectedAsync(string verb, SelectDto request, CancellationToken ct) =>
        SendAsync(HttpMethod.Post, $"api/v1/vms/{verb}", request, Json.SelectDto, Json.SelectionDto, ct);

    private async Task DeleteAsync(string path, CancellationToken ct)
    {
        using HttpRequestMessage request = new(HttpMethod.Delete, path);
        using HttpResponseMessage response = await SendAsync(request, HttpCompletionOption.ResponseContentRead, ct);
    }

    private async Task<T> ReadAsync<T>(HttpRequestMessage request, JsonTypeInfo<T> type, CancellationToken ct)
    {
        using (request)
        using (HttpResponseMessage response = await SendAsync(request, HttpCompletionOption.ResponseContentRead, ct))
        {
            try
            {
                return await response.Content.ReadFromJsonAsync(type, ct)
                    ?? throw new ErrorException(Errors.Internal($"the vault answered {request.RequestUri} with nothing"));
            }
            catch (JsonException other)
            {
                throw new ErrorException(Errors.Internal($"the vault answered {request.RequestUri} with something else than a {typeof(T).Name}"), other);
            }
        }
    }

    private async IAsyncEnumerable<T> WatchAsync<T>(string path, JsonTypeInfo<T> type, [EnumeratorCancellation] CancellationToken ct)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, path);
        using HttpResponseMessage response = await SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        await using Stream body = await response.Content.ReadAsStreamAsync(ct);
        using StreamReader reader = new(body);
        while (await reader.ReadLineAsync(ct) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal)
                && JsonSerializer.Deserialize(line.AsSpan("data: ".Length), type) is { } item)
            {
                yield return item;
            }
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, HttpCompletionOption completion, CancellationToken ct)
    {
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, completion, ct);
        }
        catch (HttpRequestException inner)
        {
            throw new ErrorException(PinnedTls.RefusalIn(inner) ?? Errors.VaultUnreachable(_http.BaseAddress?.ToString() ?? "?", inner.InnerException?.Message ?? inner.Message), inner);
        }
        catch (TaskCanceledException inner) when (!ct.IsCancellationRequested)
        {
            throw new ErrorException(Errors.VaultUnreachable(_http.BaseAddress?.ToString() ?? "?", $"no answer within {_http.Timeout.TotalSeconds:0} s"), inner);
        }

        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw new ErrorException(await ReadProblemAsync(response, ct));
        }
    }

    private static async Task<ErrorInfo> ReadProblemAsync(HttpResponseMessage response, CancellationToken ct)
    {
        try
        {
            if (response.Content.Headers.ContentType?.MediaType == ProblemDto.ContentType
                && await response.Content.ReadFromJsonAsync(Json.ProblemDto, ct) is { } problem)
            {
                return problem.ToError();
            }
        }
        catch (JsonException)
        {
            // Falls through: not our kind of answer, so perhaps not our vault.
        }

        return Errors.Internal($"the answer was {(int)response.StatusCode} {response.ReasonPhrase}, without a reason");
    }
}
