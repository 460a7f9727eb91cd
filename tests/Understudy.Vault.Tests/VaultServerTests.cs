using System.Net;
using System.Net.Http.Headers;
using System.Security.Authentication;
using System.Text;
using Microsoft.Extensions.Logging;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Testing;

namespace Understudy.Vault.Tests;

public sealed class VaultServerTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_second_vault_does_not_start_in_the_same_folder()
    {
        await using Lab lab = await Lab.StartAsync();
        VaultSettings settings = new()
        {
            DataFolder = lab.Folder,
            Listen = new IPEndPoint(IPAddress.Loopback, 0),
            Time = TimeProvider.System,
            Ids = new SeededIdSource(1),
        };

        StorageException refused = await Assert.ThrowsAsync<StorageException>(() => VaultServer.StartAsync(settings, logging => logging.ClearProviders(), Ct));

        Assert.Contains("another vault", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_and_authority_outlive_a_restart()
    {
        await using Lab lab = await Lab.StartAsync();
        (string token, string authority) = (lab.Token, lab.CaCertificate);
        Assert.True(lab.Server.AdministratorIsNew);
        await lab.StopVaultAsync();
        await lab.StartVaultAsync();

        Assert.False(lab.Server.AdministratorIsNew);
        Assert.Equal((token, authority), (lab.Token, lab.CaCertificate));
        Assert.Empty(await lab.Client.ListSitesAsync(Ct));
    }

    [Fact]
    public async Task Nothing_older_than_tls_1_3_is_spoken()
    {
        await using Lab lab = await Lab.StartAsync();
        using SocketsHttpHandler handler = PinnedTls.Handler(lab.CaCertificate);
        handler.SslOptions.EnabledSslProtocols = SslProtocols.Tls12;
        using HttpClient http = new(handler);

        HttpRequestException refused = await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync(new Uri($"https://localhost:{lab.Port}/api/v1/status"), Ct));

        Assert.IsType<AuthenticationException>(refused.InnerException);
    }

    /// <summary>A call by hand: a misspelt "unplanned" would begin a planned failover.</summary>
    [Theory]
    [InlineData("""{"unplaned":true}""", "'unplaned'")]
    [InlineData("""{"unplanned":"yes"}""", "'unplanned'")]
    public async Task A_body_with_a_field_that_nobody_knows_or_of_another_kind_is_refused_by_that_fields_name(string body, string field)
    {
        await using Lab lab = await Lab.StartAsync();
        using HttpClient http = new(PinnedTls.Handler(lab.CaCertificate));
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", lab.Token);
        using StringContent content = new(body, Encoding.UTF8, "application/json");

        using HttpResponseMessage answer = await http.PostAsync(new Uri($"https://localhost:{lab.Port}/api/v1/vms/web1/failover"), content, Ct);

        string said = await answer.Content.ReadAsStringAsync(Ct);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(field, said.Replace("\\u0027", "'", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotContain("Understudy.Api", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_believes_the_pinned_authority_only()
    {
        await using Lab lab = await Lab.StartAsync();
        await using Lab other = await Lab.StartAsync();
        using VaultClient client = VaultClient.Create(new Uri($"https://localhost:{lab.Port}"), lab.Token, other.CaCertificate);

        Assert.Equal("certificate-foreign", (await Assert.ThrowsAsync<Model.ErrorException>(() => client.GetStatusAsync(Ct))).Error.Code);
    }

    [Fact]
    public async Task Stopping_does_not_wait_for_those_who_watch()
    {
        await using Lab lab = await Lab.StartAsync();
        await using IAsyncEnumerator<EventDto> watch = lab.Client.WatchEventsAsync(0, Ct).GetAsyncEnumerator(Ct);
        Task<bool> next = watch.MoveNextAsync().AsTask();
        await lab.Client.AddSiteAsync("lyon", Ct); // the request before it has been taken by now

        await lab.Server.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), Ct);

        await Task.WhenAny(next); // ended or broken off, and in any case over
        lab.ForgetVault();
    }
}
