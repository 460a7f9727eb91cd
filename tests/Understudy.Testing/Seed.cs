using System.Globalization;

namespace Understudy.Testing;

/// <summary>
/// The seed of a random test: fresh each run, printed, and taken from UNDERSTUDY_SEED to replay a failure.
/// </summary>
public static class Seed
{
    public const string Variable = "UNDERSTUDY_SEED";

    public static int Next()
    {
        string? given = Environment.GetEnvironmentVariable(Variable);
        int seed = given is null ? Random.Shared.Next() : int.Parse(given, CultureInfo.InvariantCulture);
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}; replay with {Variable}={seed}");
        return seed;
    }
}
