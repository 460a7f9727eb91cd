namespace Understudy.Protection.Target.Definition;

/// <summary>
/// Which files of this host a definition from another one may name. libvirtd reads them as root and shows them to the guest, so
/// a name is believed only where no secret can be: in the folders of installed packages, and for what is booted directly in
/// the one that libvirt keeps for that. By the words of the path alone: who could put a link there is root here already.
/// </summary>
public static class HostFiles
{
    private const string Boot = "/var/lib/libvirt/boot/";

    private static readonly string[] _packages = ["/usr/share/", "/usr/lib/", "/usr/lib64/"];

    /// <summary>The folders, in words.</summary>
    public static string Folders { get; } = $"{string.Join(", ", _packages)} and, for a kernel, {Boot}";

    /// <summary>Firmware, templates of its variables, ACPI tables.</summary>
    public static bool MayBeFirmware(string path) => IsIn(_packages, path);

    /// <summary>Kernels and what is loaded with them.</summary>
    public static bool MayBeBooted(string path) => MayBeFirmware(path) || IsIn([Boot], path);

    private static bool IsIn(string[] folders, string path) =>
        !path.Split('/').Contains("..") && folders.Any(folder => path.StartsWith(folder, StringComparison.Ordinal));
}
