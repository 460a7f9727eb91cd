namespace Understudy.Bench;

/// <summary>The command line was not understood; exit code 2.</summary>
internal sealed class WrongUseException(string message) : Exception(message);

/// <summary>What was asked for.</summary>
internal sealed record BenchOptions(IReadOnlyList<string> Names, string? JsonFile)
{
    private const string Usage = "usage: ./bench compare [--json FILE] [--only NAME,NAME]";

    public static BenchOptions Parse(string[] arguments)
    {
        switch (arguments)
        {
            case ["compare", ..]:
                break;
            case ["ladder", ..]:
                throw new WrongUseException("bench: ladder is not in this version; it measures by ./bench compare");
            default:
                throw new WrongUseException(Usage);
        }

        IReadOnlyList<string> names = Measurements.All;
        string? json = null;
        for (int i = 1; i < arguments.Length; i += 2)
        {
            if (i + 1 == arguments.Length)
            {
                throw new WrongUseException(Usage);
            }

            switch (arguments[i])
            {
                case "--json":
                    json = arguments[i + 1];
                    break;
                case "--only":
                    names = Known(arguments[i + 1].Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
                    break;
                default:
                    throw new WrongUseException(Usage);
            }
        }

        return new BenchOptions(names, json);
    }

    private static string[] Known(string[] names)
    {
        foreach (string name in names)
        {
            if (!Measurements.All.Contains(name))
            {
                throw new WrongUseException($"unknown name {name}; this version measures {string.Join(", ", Measurements.All)}");
            }
        }

        return names.Length > 0 ? names : throw new WrongUseException(Usage);
    }
}
