using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;

namespace Understudy.Libvirt.Capture;

/// <summary>
/// What is done with the one backup job a domain can have. Blocking, on a worker thread. A job is touched only after its
/// socket has shown that it is ours: users and other products run backups too.
/// </summary>
internal static unsafe class BackupJob
{
    private static readonly TimeSpan FirstPoll = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestPoll = TimeSpan.FromMilliseconds(20);

    /// <summary>Two seconds in all; a begin takes a tenth of that.</summary>
    private const int LooksAtLost = 100;

    /// <summary>Null when there is none. Reads libvirt's own memory: cheap, and it waits for no lock.</summary>
    public static string? FindSocket(DomainHandle domain)
    {
        nint xml = LibvirtLibrary.DomainBackupGetXml(domain, 0);
        if (xml != 0)
        {
            return BackupXml.ReadSocket(NativeResult.Take(xml)) ?? "";
        }

        LibvirtException reason = LibvirtException.Last();
        return reason.Code is LibvirtErrorCode.NoDomainBackup || IsOff(reason) ? null : throw reason;
    }

    /// <summary>
    /// Throws when libvirt believes in a backup that it knows nothing of: it was killed while it began one. It would answer a
    /// begin only after 30 s, and with no more than that its lock is taken.
    /// </summary>
    public static void RequireNoneLost(DomainHandle domain)
    {
        for (int looks = 1; FindLost(domain) is { } reason; looks++)
        {
            if (looks == LooksAtLost)
            {
                throw reason;
            }

            Thread.Sleep(LongestPoll); // A begin of somebody else's looks the same while it is under way.
        }
    }

    private static LibvirtException? FindLost(DomainHandle domain)
    {
        if (LibvirtLibrary.DomainGetJobStats(domain, out _, out nint parameters, out int count, 0) == 0)
        {
            LibvirtLibrary.TypedParamsFree(parameters, count);
            return null;
        }

        LibvirtException reason = LibvirtException.Last();
        return Faults.IsLostBackup(reason.Message) ? reason : null;
    }

    /// <summary>
    /// Aborts (the normal end of a pull backup) and waits until libvirt has cleaned up, which it does after the call has
    /// returned. False when there was nothing of ours to end.
    /// </summary>
    public static bool End(DomainHandle domain, Func<string, bool> isOurs)
    {
        if (FindSocket(domain) is not { } socket || !isOurs(socket))
        {
            return false;
        }

        if (LibvirtLibrary.DomainAbortJob(domain) < 0)
        {
            LibvirtException reason = LibvirtException.Last();
            if (FindSocket(domain) == socket && reason.Code != LibvirtErrorCode.OperationInvalid)
            {
                throw reason; // "Operation invalid" is the answer while it ends already.
            }
        }

        // The caller's time limit bounds the wait; the number only keeps a thread from being lost for ever.
        TimeSpan pause = FirstPoll;
        for (int polls = 0; polls < 6000 && FindSocket(domain) == socket; polls++)
        {
            Thread.Sleep(pause);
            pause = pause * 2 > LongestPoll ? LongestPoll : pause * 2;
        }

        return true;
    }

    /// <summary>Bytes in all scratch images together; zero when no job runs.</summary>
    public static long ReadScratchUsed(DomainHandle domain)
    {
        NativeResult.Check(LibvirtLibrary.DomainGetJobStats(domain, out _, out nint parameters, out int count, 0));
        try
        {
            return JobStats.TryFind((VirTypedParameter*)parameters, count, LibvirtConstants.JobDiskTempUsed, out long used) ? used : 0;
        }
        finally
        {
            LibvirtLibrary.TypedParamsFree(parameters, count);
        }
    }

    private static bool IsOff(LibvirtException reason) => reason.Message.Contains("not running", StringComparison.Ordinal);
}
