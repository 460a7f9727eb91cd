using System.Runtime.InteropServices;
using Understudy.Blocks.Native;

namespace Understudy.Blocks.Storage;

/// <summary>Turns what the operating system says into a <see cref="StorageException"/> with kind and next step.</summary>
internal static class StorageFault
{
    /// <summary>From errno of the native call that just failed on this thread.</summary>
    public static StorageException FromLastError(string subject, string doing) =>
        FromErrno(Marshal.GetLastPInvokeError(), subject, doing, inner: null);

    public static StorageException FlushFailed(string subject, int errno) => new(
        FaultKind.FlushFailed,
        subject,
        $"flush failed ({Marshal.GetPInvokeErrorMessage(errno)}); what was written since the last flush may be lost, "
        + "and the file is not used any more");

    public static StorageException Dead(string subject) =>
        new(FaultKind.FlushFailed, subject, "an earlier flush failed; open the file again to go on");

    /// <summary>From an exception of RandomAccess; the framework keeps errno in HResult of a plain IOException.</summary>
    public static StorageException FromException(Exception exception, string subject, string doing) => exception switch
    {
        StorageException storage => storage,
        ObjectDisposedException => new StorageException(FaultKind.Closed, subject, $"{doing}: it is closed", inner: exception),
        FileNotFoundException or DirectoryNotFoundException =>
            FromErrno(Errno.NoEntry, subject, doing, exception),
        UnauthorizedAccessException => FromErrno(Errno.Access, subject, doing, exception),
        _ => FromErrno(exception.HResult, subject, doing, exception),
    };

    /// <summary>The exceptions that file calls of the framework throw for faults of the environment.</summary>
    public static bool IsFault(Exception exception) =>
        exception is IOException or UnauthorizedAccessException or ObjectDisposedException;

    private static StorageException FromErrno(int errno, string subject, string doing, Exception? inner)
    {
        (FaultKind kind, string? remedy) = errno switch
        {
            Errno.NoSpace => (FaultKind.Full, "Free or add space in this file system."),
            Errno.QuotaExceeded => (FaultKind.Full, "Raise the quota, or free space."),
            Errno.NoEntry => (FaultKind.Missing, null),
            Errno.Exists => (FaultKind.Exists, null),
            Errno.Access or Errno.NotPermitted => (FaultKind.Denied, "Check owner and mode of the file and its folders."),
            Errno.ReadOnlyFileSystem => (FaultKind.Denied, "The file system is mounted read-only; see the kernel's log."),
            _ => (FaultKind.Io, (string?)null),
        };
        string reason = inner is null || errno is > 0 and < 4096 ? Marshal.GetPInvokeErrorMessage(errno) : inner.Message;
        return new StorageException(kind, subject, $"{doing}: {reason}", remedy, inner);
    }
}
