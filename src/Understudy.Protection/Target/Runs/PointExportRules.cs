namespace Understudy.Protection.Target.Runs;

/// <summary>What an export may be asked for, whoever makes it.</summary>
internal static class PointExportRules
{
    private static readonly string[] Formats = ["raw", "qcow2"];

    /// <exception cref="RefusedException">Another format, or a folder with something in it.</exception>
    public static void Check(string format, IReadOnlyCollection<string> present, string folder)
    {
        if (!Formats.Contains(format))
        {
            throw new RefusedException(RefusalCode.Definition, $"A point cannot be exported as '{format}'.", $"Use one of {string.Join(", ", Formats)}.");
        }

        if (present.Count > 0)
        {
            throw new RefusedException(RefusalCode.Exists, $"The folder {folder} is not empty.", "Name a new or empty folder.");
        }
    }
}
