namespace Understudy.Agent;

/// <summary>Small files that only root may read and that are whole or absent, also after a power loss.</summary>
internal static class PrivateFile
{
    public static void Replace(string path, ReadOnlySpan<byte> content)
    {
        string fresh = path + ".new";
        using (FileStream file = new(fresh, new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            file.Write(content);
            file.Flush(flushToDisk: true);
        }

        File.Move(fresh, path, overwrite: true);
    }
}
