namespace Understudy.Nbd;

public sealed record NbdServerOptions
{
    /// <summary>A connection must have chosen its export by then; a silent peer does not keep a place.</summary>
    public TimeSpan HandshakeLimit { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// Connections that a listener serves at once; more wait in the socket's backlog. A disk of a VM takes one, a copying
    /// tool a handful.
    /// </summary>
    public int MaxConnections { get; init; } = 64;
}
