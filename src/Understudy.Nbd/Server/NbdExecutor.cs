using System.Diagnostics;
using Understudy.Blocks;
using Understudy.Nbd.Protocol;

namespace Understudy.Nbd.Server;

/// <summary>Carries out one request that <see cref="RequestRules"/> let pass, and replies to it.</summary>
internal sealed class NbdExecutor(ChosenExport export, NbdReplyWriter replies)
{
    private static readonly byte[] s_zeros = new byte[256 * 1024];

    private readonly IBlockDevice _device = export.Device;
    private readonly NbdReplyWriter _replies = replies;

    public async ValueTask ExecuteAsync(RequestHeader request, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        long offset = (long)request.Offset; // Inside the disk, so it fits.
        ByteRange range = new(offset, request.Length);
        switch (request.Command)
        {
            case NbdCommand.Read:
                await _device.ReadAsync(offset, buffer[NbdReplyWriter.DataHeaderBytes..], cancellationToken);
                await _replies.DataAsync(request.Cookie, request.Offset, buffer, cancellationToken);
                return;
            case NbdCommand.BlockStatus:
                await ReplyStatusAsync(request, range, cancellationToken);
                return;
            case NbdCommand.Write:
                await _device.WriteAsync(offset, buffer[NbdReplyWriter.DataHeaderBytes..], cancellationToken);
                break;
            case NbdCommand.WriteZeroes when (request.Flags & CommandFlags.NoHole) != 0:
                await WriteZerosAsync(range, cancellationToken);
                break;
            case NbdCommand.WriteZeroes or NbdCommand.Trim:
                await _device.ZeroAsync(range, cancellationToken);
                break;
            case NbdCommand.Flush:
                await _device.FlushAsync(cancellationToken);
                break;
            default:
                throw new UnreachableException();
        }

        bool durable = (request.Flags & CommandFlags.Fua) != 0 && request.Command != NbdCommand.Flush;
        if (durable)
        {
            await _device.FlushAsync(cancellationToken);
        }

        await _replies.DoneAsync(request.Cookie, cancellationToken);
    }

    /// <summary>The client wants the space kept: real zeros.</summary>
    private async ValueTask WriteZerosAsync(ByteRange range, CancellationToken cancellationToken)
    {
        for (long at = range.OffsetBytes; at < range.EndBytes; at += s_zeros.Length)
        {
            int length = (int)Math.Min(s_zeros.Length, range.EndBytes - at);
            await _device.WriteAsync(at, s_zeros.AsMemory(0, length), cancellationToken);
        }
    }

    private async ValueTask ReplyStatusAsync(RequestHeader request, ByteRange range, CancellationToken cancellationToken)
    {
        range = range with { LengthBytes = Math.Min(range.LengthBytes, NbdLimits.MaxStatusRangeBytes) };
        IReadOnlyList<BlockExtent> extents = _device is IExtentSource source
            ? await source.GetExtentsAsync(range, cancellationToken)
            : [new BlockExtent(range, ExtentKind.Data)];
        int limit = (request.Flags & CommandFlags.RequestOne) != 0 ? 1 : NbdLimits.MaxServedExtents;
        List<(uint Length, uint Flags)> descriptors = [];
        foreach ((ByteRange part, ExtentKind kind) in extents)
        {
            uint state = kind switch
            {
                ExtentKind.Data => 0,
                ExtentKind.Zero => NbdProtocol.StateZero,
                ExtentKind.Hole => NbdProtocol.StateHole | NbdProtocol.StateZero,
                _ => throw new UnreachableException(),
            };
            uint length = (uint)part.Intersect(range).LengthBytes;
            if (descriptors.Count > 0 && descriptors[^1].Flags == state)
            {
                descriptors[^1] = (descriptors[^1].Length + length, state);
            }
            else if (descriptors.Count < limit)
            {
                descriptors.Add((length, state));
            }
            else
            {
                break;
            }
        }

        await _replies.StatusAsync(request.Cookie, NbdServerHandshake.AllocationId, descriptors, cancellationToken);
    }
}
