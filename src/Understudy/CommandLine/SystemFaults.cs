using System.Net.Sockets;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;

namespace Understudy.CommandLine;

/// <summary>What the system refused to a command that works on this machine, `server` and `agent` before all: a folder, a right, a port.
/// Everything else that is thrown is a fault of the program, and its stack is wanted.</summary>
internal static class SystemFaults
{
    /// <returns>Null for a fault of the program.</returns>
    public static ErrorInfo? Of(Exception fault) => fault switch
    {
        StorageException storage => AgentErrors.From(storage).Error,
        UnauthorizedAccessException => Errors.SystemRefused(fault.Message, "Run it as root, or as a user who may."),
        IOException or SocketException when IsInUse(fault) => Errors.SystemRefused(fault.Message, "Another program listens there: stop that, or say another address with --listen."),
        HttpIOException broken => Errors.VaultUnreachable("its address", broken.Message),
        IOException => Errors.SystemRefused(fault.Message, "Give another folder, or mend what is named."),
        SocketException { SocketErrorCode: SocketError.AccessDenied } => Errors.SystemRefused(fault.Message, "Run it as root, or give a port above 1023 with --listen."),
        SocketException => Errors.SystemRefused(fault.Message, "Give an address of this machine with --listen."),
        _ => null,
    };

    private static bool IsInUse(Exception? fault) => fault switch
    {
        null => false,
        SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } => true,
        _ => IsInUse(fault.InnerException),
    };
}
