using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Tests.Source.World;

namespace Understudy.Protection.Tests.Source;

/// <summary>A source whose host boots: what it may start, when, and what it goes on with. On the model VM.</summary>
public sealed class SourceRebootTests
{
    [Fact]
    public void After_a_boot_nothing_starts_until_the_target_has_taken_the_line_and_then_autostart_is_made_good()
    {
        SourceWorld world = new(Seed());
        world.Vm.Autostart = true;
        bool booted = false;
        bool held = false;
        DateTimeOffset linkAt = default;
        world.RunUntil(() =>
        {
            DateTimeOffset now = world.Time.GetUtcNow();
            if (!booted && world.Replica.Points.Count == 2 && world.Vm.Open is null)
            {
                booted = true;
                world.IsCutOff = true;
                linkAt = now + TimeSpan.FromMinutes(3);
                world.Reboot("boot-2");
            }

            if (booted && now < linkAt)
            {
                Assert.NotEqual(VmRunState.Running, world.Vm.State);
                held |= world.Host is not null && !world.Guard.MayStart(world.Vm.Id);
            }

            world.IsCutOff = booted && now < linkAt;
            return booted && world.Replica.Points.Count == 4;
        });
        Assert.True(held);
        Assert.Equal(VmRunState.Running, world.Vm.State);
        Assert.DoesNotContain(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
    }

    [Fact]
    public void By_its_policy_a_vm_is_started_after_a_boot_when_nobody_answers_for_so_long()
    {
        SourceWorld world = new(Seed());
        world.Vm.Autostart = true;
        world.Policy = world.Policy with { StartsAfter = TimeSpan.FromMinutes(5) };
        DateTimeOffset bootAt = default;
        world.RunUntil(() =>
        {
            if (bootAt == default && world.Replica.Points.Count == 2)
            {
                bootAt = world.Time.GetUtcNow();
                world.IsCutOff = true;
                world.Reboot("boot-2");
            }

            return bootAt != default && world.Vm.State == VmRunState.Running;
        });
        Assert.InRange(world.Time.GetUtcNow() - bootAt, TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(6));
        Assert.Contains(world.Events, happened => happened.Kind == SourceEventKind.StartedUnasked);
    }

    /// <summary>PRE-4: fenced and shut down in order, its last change sent, then the host boots.</summary>
    [Fact]
    public void A_vm_that_was_put_to_rest_for_a_reboot_of_its_host_goes_on_without_a_resynchronisation()
    {
        SourceWorld world = new(Seed());
        world.Vm.Autostart = true;
        Task? resting = null;
        Task? waking = null;
        bool booted = false;
        RecoveryPointId ready = default;
        world.RunUntil(() =>
        {
            if (resting is null && world.Replica.Points.Count == 2)
            {
                resting = RestAsync(world);
            }

            if (!booted && resting is { IsCompletedSuccessfully: true })
            {
                booted = true;
                ready = world.Replica.LastPoint!.Value;
                world.Reboot("boot-2");
            }

            if (booted && waking is null && world.AgentIsAlive && world.Host is { } host && host.Ownership.Boot == "boot-2" && host.Engine.Status.Connected)
            {
                Assert.Equal((VmRunState.Off, ready), (world.Vm.State, world.Replica.LastPoint));
                waking = host.UnfenceAsync(start: true, default).AsTask();
            }

            return waking is not null && world.Replica.Points.Count >= 6;
        });
        Assert.Equal(VmRunState.Running, world.Vm.State);
        Assert.DoesNotContain(world.Events, happened => happened.Kind == SourceEventKind.ResynchronisationStarted);
    }

    private static async Task RestAsync(SourceWorld world)
    {
        await world.Host!.FenceAsync("maintenance", default);
        await world.Host.StopGuestAsync(powerOff: false, TimeSpan.FromMinutes(5), default);
        await world.Host.Engine.LastChangeAsync(null, default);
    }

    private static ulong Seed() => (ulong)Understudy.Testing.Seed.Next();
}
