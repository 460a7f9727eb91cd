using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Source;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Tests.Target.World;
using Understudy.Qemu.Tests.Recovery;

namespace Understudy.Protection.Tests.Target.Runs;

/// <summary>The host that a VM was failed over to boots, while its source is away, perhaps for good.</summary>
public sealed class TargetRebootTests(ITestOutputHelper output) : EveryDeath(output)
{
    public static TheoryData<bool> Committed => [false, true];

    [Theory]
    [MemberData(nameof(Committed))]
    public Task A_vm_that_ran_runs_again_when_the_vault_says_that_it_still_is_here_whatever_dies(bool committed) => ForEveryDeathAsync(async (site, life) =>
    {
        await FailOverAsync(site, committed);
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vda", 1, 0x11);
        bool died = await RebootAsync(site, life);
        Assert.Null(Domain(site).Live);
        Assert.False(site.Host.Status.IsValidated);
        died |= await OrderAsync(site, host => host.RevalidateAsync(SourceFeed.Line, valid: true, default).AsTask());
        died |= await site.UntilAsync(() => Domain(site).Live is not null, "the guest's start");
        died |= life.IsOver;
        if (site.Life.IsOver)
        {
            Assert.True(await site.NextAgentAsync(Life.Forever()));
        }

        Assert.True(site.Host.Status.IsValidated);
        Assert.Equal(2, Domain(site).Starts);
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vda", 2, 0x22); // On the very disks it had.
        return died;
    });

    [Theory]
    [MemberData(nameof(Committed))]
    public Task A_humans_claim_starts_it_whatever_dies(bool committed) => ForEveryDeathAsync(async (site, life) =>
    {
        await FailOverAsync(site, committed);
        LineId line = site.Host.Status.Ownership.Line;
        bool died = await RebootAsync(site, life);
        died |= await OrderAsync(site, async host => Assert.Equal(line, await host.ClaimAsync(start: true, default)));
        Assert.NotNull(Domain(site).Live);
        Assert.Equal(2, Domain(site).Starts);
        return died;
    });

    [Fact]
    public async Task A_vm_that_somebody_had_shut_down_stays_off()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        await FailOverAsync(site, committed: true);
        await site.Hypervisor.DestroyAsync(SourceFeed.Vm, default);
        await site.UntilAsync(() => Seen(site) is { Runs: false }, "the note that it is off");
        await site.RebootAsync(Life.Forever());
        await site.Host.RevalidateAsync(SourceFeed.Line, valid: true, default);
        await site.UntilAsync(() => Seen(site)?.Boot == site.Machine.Boot, "a look at it in this boot");
        Assert.Null(Domain(site).Live);
        Assert.Equal(1, Domain(site).Starts);

        await site.Host.ClaimAsync(start: true, default);
        Assert.NotNull(Domain(site).Live);
    }

    [Fact]
    public async Task Nobody_answers_and_it_is_held_unless_its_policy_says_otherwise()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        await FailOverAsync(site, committed: true);
        await site.RebootAsync(Life.Forever());
        await site.Host.RevalidateAsync(SourceFeed.Line, valid: false, default);
        Assert.False(site.Host.Status.IsValidated);
        Assert.Empty(site.Events.All);

        site.Host.GuardStartsAfter = TimeSpan.FromMilliseconds(1);
        await site.UntilAsync(() => Domain(site).Live is not null, "the start by the policy");
        Assert.Equal(SourceEventKind.StartedUnasked, Assert.Single(site.Events.All).Kind);
    }

    [Fact]
    public async Task Whoever_knows_of_a_newer_line_ends_what_waited()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        await FailOverAsync(site, committed: false);
        await site.RebootAsync(Life.Forever());
        LineId claimed = LineSteps.Claim(SourceFeed.Line, 0);
        await site.Host.RevalidateAsync(claimed, valid: false, default);
        await site.UntilAsync(() => site.Host.Status is { Failover: null, Replica.Line: var line } && line == claimed, "the claim's line");
        Assert.Empty(site.Machine.Domains);
    }

    [Fact]
    public async Task What_was_never_failed_over_cannot_be_claimed()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        await site.Source.PointAsync(site.Host.Sink);
        Assert.Equal(
            RefusalCode.NotFailedOver, (await Assert.ThrowsAsync<RefusedException>(() => site.Host.ClaimAsync(start: true, default).AsTask())).Code);
    }

    private static ModelDomain Domain(ModelSite site) => site.Machine.Domains[SourceFeed.Vm];

    private static GuestSeen? Seen(ModelSite site) => RunFiles.GuestDocument.LoadAsync(site.State, RunFiles.Guest, default).AsTask().GetAwaiter().GetResult(); // Of memory.

    private static async Task FailOverAsync(ModelSite site, bool committed)
    {
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);
        if (committed)
        {
            Assert.Null((await site.Host.CommitAsync(default)).Pending);
        }
    }

    /// <summary>True when the boot's first agent died of its very beginning.</summary>
    private static async Task<bool> RebootAsync(ModelSite site, Life life)
    {
        try
        {
            await site.RebootAsync(life);
            return false;
        }
        catch (AgentDiedException)
        {
            Assert.True(await site.NextAgentAsync(Life.Forever()));
            return true;
        }
    }
}
