namespace Understudy.Simulation.Faults;

/// <summary>Everything that can go wrong in a run. Each is counted; a long run must reach all of them.</summary>
internal enum Strike
{
    KillSource,
    KillTarget,
    KillGuest,
    PowerLossSource,
    PowerLossTarget,
    CutLink,
    StallLink,
    ReadErrors,
    WriteErrors,
    FlushFailures,
    DiskFull,
    SlowDisk,
    ClockJump,
    CaptureFaults,
    DefinitionChange,
}
