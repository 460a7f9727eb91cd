using Understudy.Blocks;
using Understudy.Nbd.Protocol;

namespace Understudy.Nbd;

/// <summary>Errors of NBD and of the connection below it, as storage faults, and back.</summary>
internal static class NbdFault
{
    /// <summary>The peer broke the protocol: nothing it says can be trusted, so this is not retried.</summary>
    public static StorageException Nonsense(string subject, string what) =>
        new(FaultKind.Corrupt, subject, $"the NBD peer broke the protocol: {what}");

    public static StorageException Lost(string subject, Exception? inner = null) => new(
        FaultKind.Io, subject, inner is null or EndOfStreamException
            ? "the NBD server closed the connection"
            : $"the connection to the NBD server was lost ({inner.Message})", inner: inner);

    public static StorageException Silent(string subject, TimeSpan limit) => new(
        FaultKind.Io, subject, $"the NBD server has answered nothing for {limit.TotalSeconds:0} s", "The disk or share below it does not answer; see that it works.");

    public static StorageException Closed(string subject) =>
        new(FaultKind.Closed, subject, "the NBD connection is closed");

    /// <summary>What a server's error number means for the caller.</summary>
    public static StorageException FromServer(string subject, string doing, NbdError error, string? text)
    {
        FaultKind kind = error switch
        {
            NbdError.NotPermitted => FaultKind.Denied,
            NbdError.NoSpace => FaultKind.Full,
            NbdError.Shutdown => FaultKind.Closed,
            _ => FaultKind.Io,
        };
        string said = string.IsNullOrEmpty(text) ? "" : $": {text}";
        string? remedy = kind == FaultKind.Full ? "Make room in the storage that holds the image." : null;
        return new StorageException(kind, subject, $"{doing}: the NBD server answered {error} ({(uint)error}){said}", remedy);
    }

    /// <summary>What a client is told about a fault of our device.</summary>
    public static NbdError ToError(StorageException fault) => fault.Kind switch
    {
        FaultKind.Denied => NbdError.NotPermitted,
        FaultKind.Full => NbdError.NoSpace,
        FaultKind.Closed => NbdError.Shutdown,
        _ => NbdError.Io,
    };

    /// <summary>The exceptions a stream throws when the peer or the network is gone.</summary>
    public static bool IsConnectionFault(Exception exception) =>
        exception is IOException or ObjectDisposedException or System.Net.Sockets.SocketException;
}
