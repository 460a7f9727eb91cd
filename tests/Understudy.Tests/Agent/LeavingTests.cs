using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Agent;
using Understudy.Api.Registration;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Protection.Target;
using Understudy.Tests.CommandLine;

namespace Understudy.Tests.Agent;

/// <summary>REG-6 at the host, when its agent has ended: what is Understudy's goes, what belongs to VMs stays.</summary>
public sealed class LeavingTests : IDisposable
{
    private readonly string _host = Directory.CreateTempSubdirectory("us-leave-").FullName;
    private readonly string _vm = Guid.NewGuid().ToString();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private string Data => Path.Combine(_host, "agent");

    private string Hooks => Path.Combine(_host, "libvirt", "hooks");

    public void Dispose() => Directory.Delete(_host, recursive: true);

    [Fact]
    public async Task A_host_that_leaves_keeps_nothing_but_the_disks_of_its_vms_and_the_hooks_of_others()
    {
        await JoinedAsync();
        string disk = Put("agent/images/web1/vda-0.qcow2");
        string hook = Put("libvirt/hooks/qemu");
        Put("libvirt/hooks/qemu.d/understudy");
        Put("agent/outcomes/outcomes.log");
        Put("agent/vault-copies/a.understudy-vault");
        Put("agent/replicas/replicas.lock");
        Put($"agent/guard/{_vm}");
        Directory.CreateDirectory(Path.Combine(Data, "spool", "scratch"));

        CommandRun run = await LeaveAsync();

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal([disk, hook], Directory.EnumerateFiles(_host, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal));
        Assert.Contains("agent-not-joined", (await LeaveAsync()).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("replicas/VM/host/replica.state")]
    [InlineData("spool/VM/order.json")]
    public async Task What_only_an_agent_can_end_keeps_the_host_from_leaving_without_one(string file)
    {
        await JoinedAsync();
        string held = Put("agent/" + file.Replace("VM", _vm, StringComparison.Ordinal));

        CommandRun run = await LeaveAsync("--confirm", Confirmation.Leave);

        Assert.Equal(3, run.ExitCode);
        Assert.Contains("host-holds", run.Error, StringComparison.Ordinal);
        Assert.True(File.Exists(held));
        Assert.True(File.Exists(Path.Combine(Data, "identity.json")));
    }

    [Fact]
    public async Task An_old_vm_that_the_other_side_owns_is_unblocked_only_by_the_word()
    {
        await JoinedAsync();
        string state = Put($"agent/spool/{_vm}/ownership.state");

        CommandRun asked = await LeaveAsync();
        Assert.Equal(3, asked.ExitCode);
        Assert.Contains(_vm, asked.Error, StringComparison.Ordinal);
        Assert.True(File.Exists(state));

        Assert.Equal(0, (await LeaveAsync("--confirm", Confirmation.Leave)).ExitCode);
        Assert.False(Directory.Exists(Data));
    }

    [Fact]
    public async Task A_note_that_a_vm_came_to_stay_here_goes_only_by_the_word()
    {
        await JoinedAsync();
        VmId vm = new(Guid.NewGuid());
        DepartureNotices notices = new(new FolderStore(Directory.CreateDirectory(Path.Combine(Data, "departures")).FullName), TimeProvider.System, NullLogger.Instance);
        await notices.PutAsync(new DepartureNotice(new ReplicaId(Guid.NewGuid()), vm, Guid.NewGuid(), new LineId(2, UInt128.One), null, DateTimeOffset.UtcNow), Ct);

        CommandRun asked = await LeaveAsync();
        Assert.Equal(3, asked.ExitCode);
        Assert.Contains($"VM {vm}: it came to stay here", asked.Error, StringComparison.Ordinal);

        Assert.Equal(0, (await LeaveAsync("--confirm", Confirmation.Leave)).ExitCode);
        Assert.False(Directory.Exists(Data));
    }

    private Task<CommandRun> LeaveAsync(params string[] words) => CommandRun.OfAsync(["agent", "leave", "--data", Data, .. words]);

    private string Put(string file)
    {
        string path = Path.Combine(_host, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!); // of a file in a folder
        File.WriteAllText(path, "");
        return path;
    }

    private async Task JoinedAsync()
    {
        FolderStore store = new(Directory.CreateDirectory(Data).FullName);
        await new AgentMembership(new HostId(Guid.NewGuid()), "beta", "berlin", ["https://vault:443"], ["beta"], "ca", "certificate", "key").SaveAsync(store, Ct);
        await new AgentConfig
        {
            Listen = "0.0.0.0:7443",
            Advertise = "beta:7443",
            LibvirtUri = "test:///default",
            ReplicasFolder = Path.Combine(Data, "replicas"),
            ImagesFolder = Path.Combine(Data, "images"),
            SpoolFolder = Path.Combine(Data, "spool"),
            GuestLogFolder = Path.Combine(_host, "logs"),
            RunFolder = Path.Combine(_host, "run"),
            HooksFolder = Hooks,
        }.WriteAsync(store, Ct);
    }
}
