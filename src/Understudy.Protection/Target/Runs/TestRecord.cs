using Understudy.Blocks.Identity;

namespace Understudy.Protection.Target.Runs;

/// <summary>Which networks a test's VM is on.</summary>
public enum TestNetworkKind
{
    /// <summary>One made for this test, without a way out.</summary>
    Bubble,

    /// <summary>Card by card, on networks that were there before or in the bubble; a card that is not named is refused.</summary>
    Chosen,

    None,
}

public enum TestStep
{
    /// <summary>Everything it will make has been named; anything of it may exist.</summary>
    Making,

    /// <summary>The test VM was started; the test waits to be completed.</summary>
    Running,

    /// <summary>It is being turned into a failover, which goes on with it: its VM ends, what it wrote is kept as a branch.</summary>
    Promoting,

    /// <summary>Being removed; anything of it may be gone.</summary>
    Removing,
}

/// <summary>
/// One test failover, durable before the first thing is made, so that whatever a crash leaves behind is found by this
/// file alone.
/// </summary>
/// <param name="Id">Given by whoever ordered the test; the same id again is the same test.</param>
/// <param name="Branch">The branch it stands on; null when it stands on the point itself.</param>
/// <param name="TestVm">Identity of the test's own VM.</param>
/// <param name="Bubble">Number of the bubble's bridge and subnet; null when none is made.</param>
public sealed record TestRecord(
    Guid Id,
    RecoveryPointId Point,
    BranchId? Branch,
    VmId TestVm,
    string VmName,
    TestNetworkKind Network,
    int? Bubble,
    IReadOnlyList<RunDisk> Disks,
    DateTimeOffset StartedAt,
    TestStep Step,
    string? Label,
    string? Note = null);

/// <summary>A disk of a run: the view it shows and the overlay that takes its writes.</summary>
public sealed record RunDisk(DiskId Disk, string TargetDevice, string Overlay);
