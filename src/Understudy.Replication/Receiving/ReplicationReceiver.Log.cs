using Microsoft.Extensions.Logging;
using Understudy.Blocks.Identity;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Receiving;

public sealed partial class ReplicationReceiver
{
    private static partial class Log
    {
        [LoggerMessage(3001, LogLevel.Information, "VM {Vm}: replication connected to replica {Replica}, durable up to {Flushed}")]
        public static partial void Welcomed(ILogger logger, VmId vm, ReplicaId replica, ulong flushed);

        [LoggerMessage(3002, LogLevel.Warning, "Replication from agent {Agent} refused ({Code}): {What}")]
        public static partial void Refused(ILogger logger, Guid agent, RefusalCode code, string what);

        [LoggerMessage(3006, LogLevel.Debug, "Replication from agent {Agent} refused as before ({Code}): {What}")]
        public static partial void RefusedAgain(ILogger logger, Guid agent, RefusalCode code, string what);

        [LoggerMessage(3003, LogLevel.Information, "Replication from agent {Agent} ended: {Why}")]
        public static partial void Ended(ILogger logger, Guid agent, string why);

        [LoggerMessage(3004, LogLevel.Debug, "The other side did not take its refusal: {Why}")]
        public static partial void RefusalUnheard(ILogger logger, string why);

        [LoggerMessage(3005, LogLevel.Debug, "Agent {Agent} called for replica {Replica}: its source took the connection")]
        public static partial void CallTaken(ILogger logger, Guid agent, ReplicaId replica);
    }
}
