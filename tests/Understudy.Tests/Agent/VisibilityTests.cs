using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Agent;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Protection.Guard;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using HostFacts = Understudy.Protection.Ports.HostFacts;

namespace Understudy.Tests.Agent;

/// <summary>REG-2: what a host hides does not leave it, and what is protected is not hidden.</summary>
public sealed class VisibilityTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("us-visible-").FullName;
    private readonly FewVms _vms = new(Vm("web1"), Vm("db1", "prod"), Vm("mail", "private"), Vm("old-db"));
    private readonly HashSet<string> _protected = [];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Without_a_rule_everything_is_shown() => Assert.Equal("web1 db1 mail old-db", Shown(With("all")));

    [Theory]
    [InlineData("web*,tag:prod", "web1 db1")]
    [InlineData("!tag:private", "web1 db1 old-db")]
    [InlineData("none", "")]
    public void Only_what_the_rule_means_is_shown(string rule, string shown) => Assert.Equal(shown, Shown(With(rule)));

    [Fact]
    public void A_protected_vm_is_shown_until_its_protection_ends_and_says_that_it_is_hidden_then()
    {
        _protected.Add("old-db");
        Visibility visibility = With("web*");

        Assert.Equal("web1 old-db", Shown(visibility));
        Assert.False(visibility.Show(_vms.All[0])?.OnlyWhileProtected);
        Assert.True(visibility.Show(_vms.All[3])?.OnlyWhileProtected);
        _protected.Clear();
        Assert.Equal("web1", Shown(visibility));
    }

    [Fact]
    public async Task An_order_that_names_a_hidden_vm_is_answered_as_for_one_that_is_not_there()
    {
        Visibility visibility = With("web*");
        await visibility.RequireVisibleAsync("web1", Ct);
        await visibility.RequireVisibleAsync(_vms.All[0].Id.ToString().ToUpperInvariant(), Ct);

        ErrorInfo hidden = (await Assert.ThrowsAsync<ErrorException>(() => visibility.RequireVisibleAsync("db1", Ct).AsTask())).Error;
        ErrorInfo absent = (await Assert.ThrowsAsync<ErrorException>(() => visibility.RequireVisibleAsync("dbx", Ct).AsTask())).Error;

        Assert.Equal("vm-unknown", hidden.Code);
        Assert.Equal(absent, hidden with { What = absent.What });
        Assert.Equal(hidden.What.Replace("db1", "dbx", StringComparison.Ordinal), absent.What);
    }

    [Fact]
    public async Task The_owner_changes_the_rule_while_the_agent_runs_and_sees_what_it_does()
    {
        _protected.Add("mail");
        AgentSettings settings = Settings("all");
        Visibility visibility = new(settings, _vms, vm => _protected.Contains(vm.Name));

        await settings.ShowAsync(VmRule.Parse("--visible", "tag:prod"), Ct);

        LocalVisibility seen = await visibility.DescribeAsync(Ct);
        Assert.Equal("tag:prod", seen.Rule);
        Assert.Equal(["db1"], seen.Shown);
        Assert.Equal(["mail"], seen.OnlyWhileProtected);
        Assert.Equal(["old-db", "web1"], seen.Hidden);
        Assert.Equal("db1 mail", Shown(visibility));
        Assert.Equal("tag:prod", (await AgentConfig.ReadAsync(_folder, Ct)).Visible);
    }

    [Fact]
    public async Task The_vault_cannot_have_a_hidden_vm_protected_and_nothing_is_made_for_it()
    {
        AgentSettings settings = Settings("web*");
        GuardFolder guard = new(new FolderStore(Directory.CreateDirectory(Path.Combine(_folder, "guard")).FullName), "boot-1", 1);
        OwnershipServices ownership = new(guard, "boot-1", TimeProvider.System, NullLogger.Instance);
        SourceMachine machine = new(_vms, null!, null!, null!, null!); // a refusal asks for nothing but the inventory
        await using SourceSide source = new(settings, machine, ownership, guard, () => throw new NotSupportedException(), new SourceNews(), new SystemIds(), NullLoggerFactory.Instance);
        SourceProtectRequest request = new(
            _vms.All[1].Id, new ReplicaId(Guid.NewGuid()), new LineId(1, 1), new HostId(Guid.NewGuid()), "beta:7443", new SourceSettings(TimeSpan.FromMinutes(5), true));

        ErrorInfo hidden = (await Assert.ThrowsAsync<ErrorException>(() => source.ProtectAsync(request, Ct))).Error;
        ErrorInfo absent = (await Assert.ThrowsAsync<ErrorException>(() => source.ProtectAsync(request with { Vm = new VmId(Guid.NewGuid()) }, Ct))).Error;

        Assert.Equal(("vm-unknown", "vm-unknown"), (hidden.Code, absent.Code));
        Assert.Equal(absent.Why, hidden.Why);
        Assert.False(Directory.Exists(settings.Config.SpoolFolder));
        Assert.False(source.Holds(request.Vm));
    }

    private string Shown(Visibility visibility) => string.Join(" ", _vms.All.Where(vm => visibility.Show(vm) is not null).Select(vm => vm.Name));

    private Visibility With(string rule) => new(Settings(rule), _vms, vm => _protected.Contains(vm.Name));

    private AgentSettings Settings(string rule) => new(new FolderStore(_folder), new AgentConfig
    {
        Listen = "0.0.0.0:7443",
        Advertise = "alpha:7443",
        LibvirtUri = "test:///default",
        ReplicasFolder = "/r",
        ImagesFolder = "/i",
        SpoolFolder = Path.Combine(_folder, "spool"),
        GuestLogFolder = "/l",
        RunFolder = "/run",
        Visible = rule,
    });

    private static VmFacts Vm(string name, params string[] tags) =>
        new(new VmId(Guid.NewGuid()), name, VmRunState.Running, 1, 1, "bios", "pc", true, false, false, [], [], Tags: tags);

    private sealed class FewVms(params VmFacts[] vms) : IVmInventory
    {
        public IReadOnlyList<VmFacts> All { get; } = vms;

        public ValueTask<HostFacts> GetHostAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<IReadOnlyList<VmFacts>> ListVmsAsync(CancellationToken cancellationToken) => new(All);

        public ValueTask<VmFacts?> FindVmAsync(VmId vm, CancellationToken cancellationToken) => new(All.FirstOrDefault(found => found.Id == vm));

        public ValueTask<string> GetDefinitionAsync(VmId vm, DefinitionKind kind, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
