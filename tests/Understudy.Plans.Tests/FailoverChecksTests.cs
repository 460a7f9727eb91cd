using Understudy.Model;

namespace Understudy.Plans.Tests;

public sealed class FailoverChecksTests
{
    private static readonly ProtectedVm Vm = new()
    {
        Vm = default,
        Name = "web1",
        SourceHost = default,
        TargetHost = default,
        Replica = default,
        Policy = "p",
        TargetName = "web1",
        Nics = [new NicPlan("52:54:00:00:00:01", "prod", null, null)],
        Stage = ProtectionStage.Replicating,
    };

    private static readonly DiscoveredVm Discovered = new(
        default, "web1", VmPower.Running, 2, 4L << 30, "bios", "q35", true, false, false, [], []);

    private static readonly HostFacts Facts = new(
        "beta", "1", null, "9.0.0", "7.2.0", true, 4, 16L << 30, 8L << 30, [], [new HostNetwork("prod", true, false, null)],
        new StorageSpace("/r", 1, 1, null), new StorageSpace("/s", 1, 1, null));

    [Fact]
    public void Nothing_in_the_way_is_nothing_to_say()
    {
        Assert.Null(FailoverChecks.Evaluate(Vm, Discovered, "beta", Facts, Reports.Source()));
        Assert.Null(FailoverChecks.Evaluate(Vm, Discovered, "beta", null, null));
    }

    [Fact]
    public void Replication_that_does_not_go_on_could_not_send_the_last_change()
    {
        ErrorInfo error = new(ErrorKind.Failed, "link-lost", "x", "Y.", "Z.");

        Assert.Equal(error, FailoverChecks.Evaluate(Vm, Discovered, "beta", Facts, Reports.Source() with { Error = error }));
    }

    [Fact]
    public void A_memory_that_was_saved_is_no_part_of_any_point()
    {
        Assert.Equal("saved-state", FailoverChecks.Evaluate(Vm, Discovered with { Power = VmPower.Off, HasSavedState = true }, "beta", Facts, Reports.Source())?.Code);
    }

    /// <summary>Between the last change and the offer nobody would see that it was started, and written to, once more.</summary>
    [Fact]
    public void Without_a_guard_the_fence_is_worth_nothing_and_the_VM_is_not_moved()
    {
        ErrorInfo refused = FailoverChecks.Evaluate(Vm, Discovered, "beta", Facts, Reports.Source(), "alpha", "libvirt does not ask it")!;
        Assert.Equal("start-guard-off", refused.Code);
        Assert.Contains("alpha", refused.What, StringComparison.Ordinal);
    }

    [Fact]
    public void Memory_that_is_not_there_is_known_before_the_guest_is_off()
    {
        HostFacts small = Facts with { FreeMemoryBytes = 2L << 30 };

        Assert.Equal("no-memory", FailoverChecks.Evaluate(Vm, Discovered, "beta", small, null)?.Code);
        Assert.Null(FailoverChecks.Evaluate(Vm with { MemoryBytes = 1L << 30 }, Discovered, "beta", small, null));
    }

    [Fact]
    public void A_network_that_has_gone_from_the_target_is_known_before_the_guest_is_off()
    {
        Assert.Equal("network-unknown", FailoverChecks.Evaluate(Vm, Discovered, "beta", Facts with { Networks = [] }, null)?.Code);
    }

    /// <summary>The source would be fenced, its guest shut down, and its last change never taken.</summary>
    [Fact]
    public void A_replica_that_is_being_removed_or_cannot_be_opened_takes_no_failover_and_one_that_has_another_trouble_does()
    {
        Assert.Equal("replica-leaving", FailoverChecks.OfReplica(Reports.Target() with { Error = Errors.ReplicaLeaving("web1") })?.Code);
        Assert.Equal("replica-unavailable", FailoverChecks.OfReplica(Reports.Target() with { Error = Errors.ReplicaUnavailable("web1", "it is in a pool that is not mounted", "Mount it.") })?.Code);
        Assert.Null(FailoverChecks.OfReplica(Reports.Target() with { Error = new ErrorInfo(ErrorKind.Failed, "agent-retrying", "a branch cannot be deleted", "It is tried again.", "Wait.") }));
        Assert.Null(FailoverChecks.OfReplica(null));
    }

    [Fact]
    public void A_disk_that_has_not_joined_the_points_is_known_before_the_guest_is_off()
    {
        SourceReport joining = Reports.Source() with { Disks = [new DiskProgress("vda", 100, 100, 100), new DiskProgress("vdb", 100, 40, 100)] };

        ErrorInfo? refusal = FailoverChecks.Evaluate(Vm, Discovered, "beta", Facts, joining);

        Assert.Equal("disk-copying", refusal?.Code);
        Assert.Contains("vdb", refusal?.What, StringComparison.Ordinal);
        Assert.Null(FailoverChecks.Evaluate(Vm, Discovered, "beta", Facts, joining with { Phase = SourcePhase.Resynchronising })); // the last change ends it
    }
}
