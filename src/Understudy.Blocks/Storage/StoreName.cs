namespace Understudy.Blocks.Storage;

/// <summary>
/// What a file in a store may be called: parts of letters, digits, '.', '-', '_' and the like between single '/', none of
/// them "." or "..". A name that says otherwise is a bug or an attack, and never reaches the file system.
/// </summary>
public static class StoreName
{
    /// <summary>The longest name Linux takes for one part.</summary>
    private const int MaxPartLength = 255;

    public static void CheckFile(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        CheckFolder(name);
    }

    /// <summary>Like a file; the empty name is the root.</summary>
    public static void CheckFolder(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        if (folder.Length == 0)
        {
            return;
        }

        foreach (Range part in folder.AsSpan().Split('/'))
        {
            ReadOnlySpan<char> text = folder.AsSpan(part);
            if (text is "" or "." or ".." || text.Length > MaxPartLength || text.ContainsAny('\0', '\\'))
            {
                throw new ArgumentException($"'{folder}' is not a name inside the store.", nameof(folder));
            }
        }
    }

    /// <summary>The folder a file is in; "" for the root.</summary>
    public static string FolderOf(string name) =>
        name.LastIndexOf('/') is var slash && slash < 0 ? "" : name[..slash];
}
