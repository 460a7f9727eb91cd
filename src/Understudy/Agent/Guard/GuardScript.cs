using System.Text;

namespace Understudy.Agent.Guard;

/// <summary>The libvirt hook that this program carries.</summary>
internal static class GuardScript
{
    private const string Resource = "start-guard.sh";
    private const string FolderMark = "@GUARD@";

    /// <summary>The script as it is installed on a host whose guard files are in that folder.</summary>
    public static byte[] For(string guardFolder)
    {
        if (guardFolder.Contains('\'', StringComparison.Ordinal))
        {
            throw new ArgumentException($"the folder {guardFolder} cannot be written into a shell script", nameof(guardFolder));
        }

        using Stream stream = typeof(GuardScript).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"{Resource} is missing from this program");
        using StreamReader reader = new(stream, Encoding.UTF8);
        return Encoding.UTF8.GetBytes(reader.ReadToEnd().Replace(FolderMark, guardFolder, StringComparison.Ordinal));
    }
}
