using System.Text.Json;
using Understudy.Api.Rest;

namespace Understudy.Vault.Tests;

public sealed class PolicyTests(PolicyTests.OneVault vault) : IClassFixture<PolicyTests.OneVault>
{
    private readonly Lab _lab = vault.Lab;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_new_policy_has_the_defaults_and_keeps_what_a_change_leaves_out()
    {
        PolicyDto made = await _lab.Client.SetPolicyAsync("slow", new PolicySetDto { Frequency = "1h" }, Ct);
        PolicyDto changed = await _lab.Client.SetPolicyAsync("slow", new PolicySetDto { Compression = false }, Ct);

        Assert.Equal(
            new PolicyDto("slow", "periodic", "1h", "1d", true, true, "now", "by hand", "never", "never", 7, "hold", "pause", "none", "usual", "usual", "usual", 0), made);
        Assert.Equal(made with { Compression = false }, changed);
        await _lab.Client.RemovePolicyAsync("slow", Ct);
        Assert.Equal(["every-15s", "every-30s", "every-5min", "every-15min"], (await _lab.Client.ListPoliciesAsync(Ct)).Select(policy => policy.Name));
    }

    [Theory]
    [InlineData("frequency", "\"5s\"", "frequency-out-of-range")]
    [InlineData("frequency", "\"25h\"", "frequency-out-of-range")]
    [InlineData("frequency", "\"often\"", "duration-unreadable")]
    [InlineData("retention", "\"31d\"", "retention-out-of-range")]
    [InlineData("mode", "\"continuous\"", "policy-field-not-offered")]
    [InlineData("mode", "\"sometimes\"", "value-unusable")]
    [InlineData("commit", "\"after 10min\"", "value-unusable")]
    [InlineData("commitAfter", "\"10s\"", "value-unusable")]
    [InlineData("branchDays", "0", "value-unusable")]
    [InlineData("branchDays", "366", "value-unusable")]
    [InlineData("guard", "\"release\"", "value-unusable")]
    [InlineData("guard", "\"start after 5s\"", "value-unusable")]
    [InlineData("isolatedSource", "\"explode\"", "value-unusable")]
    [InlineData("startTime", "\"22:10\"", "value-unusable")]
    [InlineData("bookmarks", "\"midnight\"", "value-unusable")]
    [InlineData("rpoWarning", "\"1min\"", "policy-contradicts")]
    [InlineData("rpoCritical", "\"6min\"", "policy-contradicts")]
    [InlineData("retention", "\"1min\"", "policy-contradicts")]
    [InlineData("encryption", "true", "policy-field-not-offered")]
    [InlineData("lock", "\"7d\"", "policy-field-not-offered")]
    [InlineData("retenton", "\"1h\"", "policy-field-unknown")]
    [InlineData("compression", "\"yes\"", "request-unreadable")]
    public async Task A_policy_says_only_what_this_version_does(string field, string value, string code)
    {
        using HttpClient http = _lab.Http();
        using StringContent body = new($$"""{ "{{field}}": {{value}} }""", System.Text.Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await http.PutAsync("api/v1/policies/mine", body, Ct);
        using JsonDocument problem = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Ct));

        Assert.Equal(ProblemDto.ContentType, response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(400, (int)response.StatusCode);
        Assert.Equal(code, problem.RootElement.GetProperty("code").GetString());
        Assert.All(["what", "why", "next", "title", "detail"], part => Assert.NotEmpty(problem.RootElement.GetProperty(part).GetString()!));
    }

    /// <summary>These tests leave nothing behind, so one vault serves them all.</summary>
    public sealed class OneVault : IAsyncLifetime
    {
        internal Lab Lab { get; private set; } = null!; // set by InitializeAsync

        public async ValueTask InitializeAsync() => Lab = await Lab.StartAsync();

        public ValueTask DisposeAsync() => Lab.DisposeAsync();
    }
}
