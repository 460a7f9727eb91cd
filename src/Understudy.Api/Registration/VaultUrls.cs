using Understudy.Model;

namespace Understudy.Api.Registration;

/// <summary>Addresses of a vault as people give them.</summary>
public static class VaultUrls
{
    /// <exception cref="ErrorException">None, or one that is no https address.</exception>
    public static IReadOnlyList<string> Checked(IReadOnlyList<string> urls) =>
        urls.Count == 0 ? throw new ErrorException(Errors.MissingValue("vault URL"))
        : urls.FirstOrDefault(url => !Uri.TryCreate(url, UriKind.Absolute, out Uri? parsed) || parsed.Scheme != Uri.UriSchemeHttps) is { } bad
            ? throw new ErrorException(Errors.BadValue("vault URL", bad, "it is written https://NAME:PORT"))
            : urls;
}
