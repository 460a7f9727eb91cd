namespace Understudy.Nbd;

/// <summary>What to ask a server for.</summary>
public sealed record NbdClientOptions
{
    /// <summary>The export's name; "" is the server's default export.</summary>
    public string Export { get; init; } = "";

    /// <summary>
    /// Metadata contexts to ask for beside <c>base:allocation</c>, e.g. <c>qemu:dirty-bitmap:backup-vda</c>. A server may
    /// grant fewer: see <see cref="NbdClient.HasContext"/>.
    /// </summary>
    public IReadOnlyList<string> Contexts { get; init; } = [];

    /// <summary>
    /// Requests in flight on this connection; more wait their turn. QEMU's server works on at most 16 for one client.
    /// </summary>
    public int MaxInFlight { get; init; } = 16;

    /// <summary>
    /// Reads and writes longer than this are sent as several requests that run side by side; also kept under the
    /// server's own limit. 1 MiB keeps both sides' buffers small and still amortises a request (docs/protocols/nbd.md).
    /// </summary>
    public int MaxRequestBytes { get; init; } = 1024 * 1024;

    /// <summary>Null to wait for as long as the connection stands.</summary>
    public NbdPatience? Patience { get; init; }
}
