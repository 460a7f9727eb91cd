using Microsoft.Extensions.Logging;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Target;

internal static partial class Log
{
    [LoggerMessage(6001, LogLevel.Warning, "View {Export} cannot be opened: {Reason}")]
    public static partial void ViewNotOpened(ILogger logger, string export, string reason);

    [LoggerMessage(6025, LogLevel.Warning, "View {Export} was not closed cleanly: {Reason}")]
    public static partial void ViewNotClosed(ILogger logger, string export, string reason);

    [LoggerMessage(6002, LogLevel.Information, "{Vm}: test {Test} of point {Point} runs as {TestVm}")]
    public static partial void TestRuns(ILogger logger, string vm, Guid test, string point, string testVm);

    [LoggerMessage(6003, LogLevel.Information, "{Vm}: test {Test} was removed")]
    public static partial void TestRemoved(ILogger logger, string vm, Guid test);

    [LoggerMessage(6004, LogLevel.Warning, "{Vm}: an unfinished test {Test} from before the restart is being removed")]
    public static partial void TestLeftOver(ILogger logger, string vm, Guid test);

    [LoggerMessage(6005, LogLevel.Information, "{Vm}: failover to {Point}, step {Step}")]
    public static partial void FailoverStepReached(ILogger logger, string vm, string point, string step);

    [LoggerMessage(6006, LogLevel.Warning, "{Vm}: step {Step} waits: {Reason}")]
    public static partial void StepWaits(ILogger logger, string vm, string step, string reason);

    [LoggerMessage(6007, LogLevel.Warning, "{Vm}: the guest {GuestVm} was paused by an I/O error; its disks can be read again and it is resumed")]
    public static partial void GuestResumed(ILogger logger, string vm, string guestVm);

    [LoggerMessage(6008, LogLevel.Warning, "{Vm}: the storage daemon of {GuestVm} had ended; a new one took over")]
    public static partial void DaemonReplaced(ILogger logger, string vm, string guestVm);

    [LoggerMessage(6009, LogLevel.Warning, "{Vm}: {What} failed and is tried again: {Reason}")]
    public static partial void TriedAgain(ILogger logger, string vm, string what, string reason);

    [LoggerMessage(6010, LogLevel.Information, "{Vm}: the oldest recovery point is now {Point}")]
    public static partial void OldestMoved(ILogger logger, string vm, string point);

    [LoggerMessage(6011, LogLevel.Error, "{Vm}: the replica stands still: {Reason}")]
    public static partial void ReplicaStopped(ILogger logger, string vm, string reason);

    [LoggerMessage(6013, LogLevel.Error, "{Vm}: {What} has ended by a broken invariant; all else goes on: {Reason}")]
    public static partial void LoopEnded(ILogger logger, string vm, string what, string reason);

    [LoggerMessage(6012, LogLevel.Warning, "{Vm}: change tracking since the failover is lost, a comparison will find what changed: {Reason}")]
    public static partial void TrackingLost(ILogger logger, string vm, string reason);

    [LoggerMessage(6014, LogLevel.Information, "{Vm}: branch {Branch} ({Kind}, on point {Point}) is kept until {ExpiresAt:u}")]
    public static partial void BranchKept(ILogger logger, string vm, Guid branch, Branches.BranchKind kind, string point, DateTimeOffset expiresAt);

    [LoggerMessage(6015, LogLevel.Information, "{Vm}: branch {Branch}, kept since {KeptAt:u}, has expired and was deleted")]
    public static partial void BranchExpired(ILogger logger, string vm, Guid branch, DateTimeOffset keptAt);

    [LoggerMessage(6032, LogLevel.Error, "The note {Name} about a VM that came to stay here cannot be read, so its source is not told: {Reason}")]
    public static partial void DepartureUnreadable(ILogger logger, string name, string reason);

    [LoggerMessage(6031, LogLevel.Warning, "{Vm}: branch {Branch} is past its time; it is deleted when the clock has said so for {Hours} hours")]
    public static partial void BranchDue(ILogger logger, string vm, Guid branch, double hours);

    [LoggerMessage(6016, LogLevel.Warning, "{Vm}: its source owns it by the newer line {Line}: somebody has claimed it there")]
    public static partial void Deposed(ILogger logger, string vm, LineId line);

    [LoggerMessage(6017, LogLevel.Information, "{Vm}: mount {Mount} of point {Point} stands as {Devices}")]
    public static partial void Mounted(ILogger logger, string vm, Guid mount, string point, string devices);

    [LoggerMessage(6018, LogLevel.Information, "{Vm}: mount {Mount} was taken away")]
    public static partial void Unmounted(ILogger logger, string vm, Guid mount);

    [LoggerMessage(6019, LogLevel.Warning, "{Vm}: the replica had stopped after a fault of its storage and is opened anew; what was acknowledged is on disk")]
    public static partial void ReplicaReopens(ILogger logger, string vm);

    [LoggerMessage(6020, LogLevel.Information, "{Vm}: the replica is open again, with {Points} recovery points")]
    public static partial void ReplicaReopened(ILogger logger, string vm, int points);

    [LoggerMessage(6021, LogLevel.Information, "{Vm}: the seed has been read into the base, what differs is sent. {Remarks}")]
    public static partial void SeedTaken(ILogger logger, string vm, string remarks);

    [LoggerMessage(6022, LogLevel.Warning, "{Vm}: a seed is gone on without, the rest is sent: {Reason}")]
    public static partial void SeedGivenUp(ILogger logger, string vm, string reason);

    [LoggerMessage(6023, LogLevel.Warning, "{Vm}: a copy ran here although line {Line} owns the VM elsewhere; it is paused")]
    public static partial void GuestPaused(ILogger logger, string vm, LineId line);

    [LoggerMessage(6024, LogLevel.Information, "{Vm}: the guest ran before this boot of the host and is started again")]
    public static partial void GuestGoesOn(ILogger logger, string vm);
}
