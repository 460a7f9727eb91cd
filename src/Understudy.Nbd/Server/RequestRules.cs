using Understudy.Nbd.Protocol;

namespace Understudy.Nbd.Server;

/// <summary>Whether a request may be carried out, decided from its header alone. Pure: a table of cases in the tests.</summary>
internal static class RequestRules
{
    public static (NbdError Error, string? Why) Check(in RequestHeader request, ChosenExport export)
    {
        CommandFlags allowed = request.Command switch
        {
            NbdCommand.Read => export.StructuredReplies ? CommandFlags.DontFragment | CommandFlags.Fua : CommandFlags.Fua,
            NbdCommand.Write or NbdCommand.Trim => CommandFlags.Fua,
            NbdCommand.WriteZeroes => CommandFlags.Fua | CommandFlags.NoHole,
            NbdCommand.BlockStatus => CommandFlags.RequestOne | CommandFlags.Fua,
            _ => CommandFlags.Fua,
        };
        if ((request.Flags & ~allowed) != 0)
        {
            return (NbdError.Invalid, "a flag that was not offered");
        }

        bool writes = request.Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes;
        if (writes && export.Device.IsReadOnly)
        {
            return (NbdError.NotPermitted, "the export is read-only");
        }

        switch (request.Command)
        {
            case NbdCommand.Flush:
                return (NbdError.None, null);
            case NbdCommand.BlockStatus when !export.AllocationContext:
                return (NbdError.Invalid, "no metadata context was negotiated");
            case NbdCommand.Read when request.Length > NbdLimits.MaxPayloadBytes:
                return (NbdError.Overflow, "longer than the largest block");
            case NbdCommand.Read or NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes or NbdCommand.BlockStatus:
                ulong size = (ulong)export.Device.SizeBytes;
                bool inside = request.Offset <= size && request.Length <= size - request.Offset;
                return inside && request.Length > 0 ? (NbdError.None, null)
                    : inside ? (NbdError.Invalid, "an empty range")
                    : writes ? (NbdError.NoSpace, "behind the end of the disk")
                    : (NbdError.Invalid, "behind the end of the disk");
            default:
                return (NbdError.Invalid, "an unknown command");
        }
    }
}
