using Understudy.Model;

namespace Understudy.Plans;

/// <summary>When the old disks of a source may be deleted (SEC-7): once nothing can come back to them. Pure.</summary>
public static class OldDisks
{
    /// <summary>Until the commit a cancel gives the VM back to them, and one that was begun waits for its source.</summary>
    /// <returns>Null when they may go.</returns>
    public static ErrorInfo? WhyKept(VmSituation situation) =>
        situation.State is ProtectionState.FailedOver or ProtectionState.Unprotected ? null : Errors.OldDisksNeeded(situation.Vm);
}
