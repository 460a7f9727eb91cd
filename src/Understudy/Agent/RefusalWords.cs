using System.Diagnostics;
using Understudy.Protection;

namespace Understudy.Agent;

/// <summary>Both sides' refusals, by the codes of docs/operations/errors.md.</summary>
internal static class RefusalWords
{
    public static string CodeOf(RefusalCode code) => code switch
    {
        RefusalCode.NetworkUnmapped => "network-unmapped",
        RefusalCode.NameTaken => "name-taken",
        RefusalCode.NameUnlawful => "name-unlawful",
        RefusalCode.NoSuchPoint => "point-unknown",
        RefusalCode.NoSuchReplica => "replica-unknown",
        RefusalCode.NoSuchRun => "test-unknown",
        RefusalCode.NoSpace => "no-space",
        RefusalCode.AlreadyFailedOver => "failed-over-already",
        RefusalCode.NotFailedOver => "not-failed-over",
        RefusalCode.NotProtected => "vm-not-protected",
        RefusalCode.NoSuchBranch => "branch-unknown",
        RefusalCode.NoSuchVm => "vm-unknown",
        RefusalCode.VmOff => "vm-off",
        RefusalCode.HostLacks => "host-lacks",
        RefusalCode.NotCommitted => "not-committed",
        RefusalCode.AlreadyCommitted => "committed-already",
        RefusalCode.BranchesKept => "branches-kept",
        RefusalCode.Busy => "replica-busy",
        RefusalCode.Exists => "exists-already",
        RefusalCode.Definition => "definition-unusable",
        RefusalCode.NotOwner => "owned-elsewhere",
        RefusalCode.InTransit => "token-in-transit",
        RefusalCode.TransferRefused => "transfer-refused",
        RefusalCode.TransferAccepted => "transfer-accepted",
        RefusalCode.TransferOutdated => "transfer-outdated",
        RefusalCode.NotFenced => "not-fenced",
        RefusalCode.Paused => "replication-paused",
        RefusalCode.Copying => "copy-under-way",
        RefusalCode.VmIsOff => "vm-off",
        RefusalCode.VmRuns => "vm-runs",
        RefusalCode.SavedState => "saved-state",
        _ => throw new UnreachableException($"refusal {code}"),
    };
}
