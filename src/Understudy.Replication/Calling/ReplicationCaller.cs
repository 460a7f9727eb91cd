using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Calling;

/// <summary>A source that does not dial, as its target sees it.</summary>
/// <param name="Agent">The source's agent; the dialler has proved that it is what answers.</param>
/// <param name="DialAsync">A connection to it. Throws <see cref="UnderstudyException"/> when there is none.</param>
public sealed record CalledSource(ReplicaId Replica, VmId Vm, Guid Agent, Func<CancellationToken, ValueTask<Stream>> DialAsync);

/// <summary>
/// The target's end where the target dials: calls the source, serves the session that the source opens, and calls again when
/// that has ended. At most one connection for a replica at a time, so that a source that is called knows that what it had
/// from an earlier call is dead.
/// </summary>
public sealed partial class ReplicationCaller(ReplicationReceiver receiver, string software, TimeProvider time, ILogger<ReplicationCaller> logger)
{
    /// <summary>After a session has ended, and between two attempts. Short for good, not growing: it bounds how late a source
    /// that was cut off hears of a newer line (PRE-5), as a source's probes do where the source dials.</summary>
    private static readonly TimeSpan[] Pauses = [TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(3)];

    /// <summary>Runs until cancelled. Every fault is tried again; it is said once, and again when it has changed.</summary>
    public async Task RunAsync(CalledSource source, CancellationToken cancellationToken)
    {
        int failures = 0;
        string? said = null;
        while (true)
        {
            // A session that the source had opened by itself, before it was told not to, goes on to its end.
            if (!receiver.IsReceiving(source.Replica))
            {
                string? fault = await CallOnceAsync(source, cancellationToken);
                failures = fault is null ? 0 : failures + 1;
                if (fault is not null && fault != said)
                {
                    Log.NotTaken(logger, source.Replica, source.Agent, fault);
                }

                said = fault;
            }

            await Task.Delay(Pauses[Math.Min(failures, Pauses.Length - 1)], time, cancellationToken);
        }
    }

    /// <returns>Why the source did not take the call; null when it did, and that is over.</returns>
    private async Task<string?> CallOnceAsync(CalledSource source, CancellationToken cancellationToken)
    {
        try
        {
            await using Stream stream = await source.DialAsync(cancellationToken);
            await OutgoingCall.MakeAsync(stream, source.Replica, source.Vm, software, time, cancellationToken);
            await receiver.ServeAnsweredAsync(stream, source.Agent, cancellationToken);
            return null;
        }
        catch (RefusedException busy) when (busy.ByPeer && busy.Refusal.Code is RefusalCode.Busy or RefusalCode.Superseded)
        {
            return null; // It is there and has no use for a connection now.
        }
        catch (Exception fault) when (fault is not InvariantException && !cancellationToken.IsCancellationRequested)
        {
            return fault.Message; // Whatever it was, nobody else would dial.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(3201, LogLevel.Warning, "Replica {Replica}: its source, agent {Agent}, does not take the connection; called again: {Why}")]
        public static partial void NotTaken(ILogger logger, ReplicaId replica, Guid agent, string why);
    }
}
