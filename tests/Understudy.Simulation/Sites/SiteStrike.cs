namespace Understudy.Simulation.Sites;

/// <summary>Everything that can go wrong in a run of two sites. Each is counted; a long run must reach all of them.</summary>
internal enum SiteStrike
{
    KillSourceAgent,
    KillTargetAgent,
    KillVault,
    KillDaemon,
    KillSourceGuest,
    KillTargetGuest,
    PowerLossSource,
    PowerLossTarget,
    CutLink,
    StallLink,
    StallVault,

    /// <summary>Nobody reaches the source for minutes; what runs there runs on.</summary>
    IsolateSource,
    ReadErrors,
    WriteErrors,
    FlushFailures,
    DiskFull,
    SlowDisk,
    ClockJump,
    ClockDrift,
    HypervisorFaults,
    DefinitionChange,
}
