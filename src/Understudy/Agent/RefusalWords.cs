using System.Diagnostics;
using Understudy.Protection.Target;

namespace Understudy.Agent;

/// <summary>The recovery side's refusals, by the codes of docs/operations/errors.md.</summary>
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
        RefusalCode.NotCommitted => "not-committed",
        RefusalCode.Busy => "replica-busy",
        RefusalCode.Exists => "exists-already",
        RefusalCode.Definition => "definition-unusable",
        _ => throw new UnreachableException($"refusal {code}"),
    };
}
