using Understudy.Journal;

namespace Understudy.Simulation.Running;

/// <summary>Faults put into the system on purpose, one at a time: a checker that cannot see one of them is worth nothing.</summary>
internal enum Plant
{
    None,
    AcknowledgeBeforeFlush,
    SkipAChecksum,
    ListTheOldPointDuringApply,
    WriteBaseBeforeTheManifest,
    AcceptFromAStaleLine,
    LoseADirtyBlock,
    DropWithoutNotingDivergence,
    SaveAPreImageTwice,
    SumAnUnverifiedBlock,
    CompareWithoutTheSeed,

    // Only a run of two whole sides can meet those that follow.
    LeaveTheGuardOpen,
    SkipTheLastChange,
    ForgetToPause,
    TakeBackUnrefused,
    GiveAwayBeforeItIsDurable,
    KeepNoBranch,
    KeepTheNews,
}

internal static class Plants
{
    public static IReadOnlyList<Plant> All { get; } = [.. Enum.GetValues<Plant>().Where(p => p != Plant.None)];

    /// <summary>Only a run of two whole sides can meet it.</summary>
    public static bool IsOfSites(this Plant plant) => plant >= Plant.LeaveTheGuardOpen;

    public static string Words(this Plant plant) => plant switch
    {
        Plant.None => "nothing planted",
        Plant.AcknowledgeBeforeFlush => "acknowledge before flush",
        Plant.SkipAChecksum => "skip a checksum",
        Plant.ListTheOldPointDuringApply => "list the old point during apply",
        Plant.WriteBaseBeforeTheManifest => "write base before the manifest",
        Plant.AcceptFromAStaleLine => "accept an append from a stale line",
        Plant.LoseADirtyBlock => "lose one dirty block",
        Plant.DropWithoutNotingDivergence => "drop records without noting divergence",
        Plant.SaveAPreImageTwice => "redo saves a pre-image twice",
        Plant.SumAnUnverifiedBlock => "recompute a sum from an unverified block",
        Plant.CompareWithoutTheSeed => "answer what is held before the seed is read",
        Plant.LeaveTheGuardOpen => "hand the VM over and leave the guard open",
        Plant.SkipTheLastChange => "hand the VM over without its last change",
        Plant.ForgetToPause => "hear of a newer line and let the guest run on",
        Plant.TakeBackUnrefused => "take a transfer back that the target has not refused",
        Plant.GiveAwayBeforeItIsDurable => "answer that the VM is given away before the record is durable",
        Plant.KeepNoBranch => "end what ran at the target and keep no record of its branch",
        Plant.KeepTheNews => "say nothing of the newer line to a source that is heard again",
        _ => throw new ArgumentOutOfRangeException(nameof(plant), plant, null),
    };

    /// <summary>The replica's own rules with one of them broken.</summary>
    public static SafetyRules Rules(this Plant plant) => plant switch
    {
        Plant.AcknowledgeBeforeFlush => SafetyRules.All with { FlushBeforeAcknowledging = false },
        Plant.SkipAChecksum => SafetyRules.All with { VerifyWhatIsRead = false },
        Plant.ListTheOldPointDuringApply => SafetyRules.All with { UnlistBeforeApplying = false },
        Plant.WriteBaseBeforeTheManifest => SafetyRules.All with { NoteApplyBeforeWritingBase = false },
        Plant.AcceptFromAStaleLine => SafetyRules.All with { RefuseStaleLines = false },
        Plant.DropWithoutNotingDivergence => SafetyRules.All with { NoteDivergenceBeforeDropping = false },
        Plant.SaveAPreImageTwice => SafetyRules.All with { KeepFirstPreImage = false },
        Plant.SumAnUnverifiedBlock => SafetyRules.All with { VerifyBeforeSumming = false },
        Plant.CompareWithoutTheSeed => SafetyRules.All with { CompareOnlyWithTheSeed = false },
        _ => SafetyRules.All,
    };
}
