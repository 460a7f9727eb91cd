namespace Understudy.Model;

/// <summary>An agent's way to its vault (REG-3).</summary>
/// <param name="Proxy">HTTP CONNECT; null for none.</param>
/// <param name="OnTrial">It is new, and the vault has not been reached through it yet.</param>
/// <param name="Problem">Why the one that was tried last was given up.</param>
public sealed record ProxyState(string? Proxy, bool OnTrial, string? Problem)
{
    /// <summary>What is written for no proxy.</summary>
    public const string None = "none";

    /// <summary>How long a new one is tried before the agent goes back: dialled again after at most 10 s, several attempts.</summary>
    public static readonly TimeSpan TrialLimit = TimeSpan.FromSeconds(60);

    /// <summary>Null for none.</summary>
    /// <exception cref="ErrorException">It is no proxy's address.</exception>
    public static string? Checked(string proxy) => proxy switch
    {
        None or "" => null,
        _ when Uri.TryCreate(proxy, UriKind.Absolute, out Uri? address) && address.Scheme == Uri.UriSchemeHttp && address is { AbsolutePath: "/", Query: "" } => proxy,
        _ => throw new ErrorException(Errors.BadValue("proxy", proxy, "it is written http://NAME:PORT, or none")),
    };
}
