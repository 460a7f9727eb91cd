using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Agent;
using Understudy.Agent.Local;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Tests.Local;

/// <summary>One order changes several settings of a host: all of them, or none.</summary>
public sealed class ConfigureTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("us-configure-").FullName;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(null, "tag:")]
    [InlineData("not a proxy", null)]
    public async Task An_order_of_which_a_part_cannot_be_read_changes_nothing(string? proxy, string? visible)
    {
        FolderStore store = new(_folder);
        AgentConfig config = new()
        {
            Listen = "127.0.0.1:7443",
            Advertise = "beta:7443",
            LibvirtUri = "test:///default",
            ReplicasFolder = _folder,
            ImagesFolder = _folder,
            SpoolFolder = _folder,
            GuestLogFolder = _folder,
            RunFolder = _folder,
        };
        AgentSettings settings = new(store, config);
        AgentMembership membership = new(new HostId(Guid.NewGuid()), "beta", "berlin", ["https://vault:443"], ["beta"], "ca", "certificate", "key");
        AgentIdentity identity = new(store, membership, settings, TimeProvider.System, NullLogger.Instance);
        await using OutcomeLog outcomes = await OutcomeLog.OpenAsync(new FolderStore(Directory.CreateDirectory(Path.Combine(_folder, "outcomes")).FullName), NullLogger.Instance, Ct);
        await using AgentOperations operations = new(outcomes, NullLogger.Instance);
        // Nothing else of the agent is reached by an order that is refused.
        new LocalOrders(identity, settings, null!, null!, null!, null!, null!, null!, null!).Register(operations);
        LocalSettings order = new(["https://elsewhere:443"], proxy, visible);

        ResponseMessage answer = await operations.AnswerAsync(
            new RequestMessage(1, null, LocalMethods.Configure.Name, JsonSerializer.SerializeToElement(order, LocalMethods.Configure.Request)), _ => { }, Ct);

        Assert.NotNull(answer.Error);
        Assert.Equal(["https://vault:443"], identity.Membership.VaultUrls);
        Assert.Empty(Directory.GetFiles(_folder));
    }
}
