namespace Understudy.Plans.Tests;

/// <summary>Pages of the documents that a test holds to the code.</summary>
internal static class Page
{
    public static string Read(string path)
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Understudy.slnx")))
        {
            folder = folder.Parent;
        }

        return File.ReadAllText(Path.Combine(folder?.FullName ?? throw new InvalidOperationException("not inside a checkout"), path));
    }
}
