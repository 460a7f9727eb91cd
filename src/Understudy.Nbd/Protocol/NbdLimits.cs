namespace Understudy.Nbd.Protocol;

/// <summary>Every number that bounds what a peer can make us hold, read or wait for.</summary>
internal static class NbdLimits
{
    /// <summary>The largest payload of a request: what the protocol lets a client assume, and QEMU's own limit.</summary>
    public const int MaxPayloadBytes = 32 * 1024 * 1024;

    /// <summary>The protocol's bound on names, descriptions, contexts and error texts.</summary>
    public const int MaxStringBytes = 4096;

    /// <summary>The data of one option: a name and a handful of context queries. More is nonsense: hang up.</summary>
    public const int MaxOptionBytes = 64 * 1024;

    /// <summary>Options on one connection before it must start; nbdinfo --list, the chattiest peer, needs a few an export.</summary>
    public const int MaxOptions = 256;

    /// <summary>
    /// Replies a client takes for one option. A list of contexts or informations is short; without a bound a server could
    /// keep us reading for ever.
    /// </summary>
    public const int MaxOptionReplies = 256;

    /// <summary>The extents of one block-status chunk that a client takes: nbdkit's own bound, 1 Mi of 8 bytes.</summary>
    public const int MaxStatusExtents = 1024 * 1024;

    /// <summary>The extents a server puts into one reply (64 KiB of payload); the client asks again for the rest.</summary>
    public const int MaxServedExtents = 8 * 1024;

    /// <summary>How much of a disk one block-status request looks at, so that the device's answer stays small.</summary>
    public const long MaxStatusRangeBytes = 1L << 30;

    /// <summary>Chunks of one structured reply that a client takes: a 32 MiB read fragmented to single sectors.</summary>
    public const int MaxChunks = MaxPayloadBytes / 512;

    /// <summary>Requests a server works on at once for one connection: QEMU's client never has more than 16 in flight.</summary>
    public const int ServerWorkers = 16;

    /// <summary>
    /// Payload a server holds at once for one connection. Two of the largest requests, or all sixteen of a usual size
    /// (nbdcopy: 256 KiB, QEMU's mirror: 1 MiB); more wait unread in the socket.
    /// </summary>
    public const long ServerPayloadBytes = 64L * 1024 * 1024;

    /// <summary>Buffer for headers and status payloads; bulk payload bypasses it.</summary>
    public const int InputBufferBytes = 4096;
}
