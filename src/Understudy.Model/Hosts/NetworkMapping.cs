namespace Understudy.Model;

/// <summary>Where NICs of a network go when their VM starts at the other site.</summary>
/// <param name="TestNetwork">The network tests use instead of one made for them; null for one made for each test.</param>
/// <param name="Automatic">Filled in because each side had exactly one network; never replaces one made by hand.</param>
public sealed record NetworkMapping(
    SiteId SourceSite,
    string SourceNetwork,
    SiteId TargetSite,
    string TargetNetwork,
    string? TestNetwork,
    bool Automatic);
