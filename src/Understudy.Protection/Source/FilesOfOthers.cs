using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source;

/// <summary>
/// Which files of this host other VMs stand on, under whatever name: through links, and as the backing file of an overlay
/// (SEC-7). What cannot be looked at is taken for in use.
/// </summary>
internal sealed class FilesOfOthers
{
    /// <summary>Longer than any chain that is meant; a ring ends here too.</summary>
    private const int LongestChain = 64;

    private readonly Dictionary<string, string> _users = new(StringComparer.Ordinal);

    /// <summary>Disks whose chain could not be followed: they may stand on any file.</summary>
    private readonly List<string> _unknown = [];

    private FilesOfOthers()
    {
    }

    public static async ValueTask<FilesOfOthers> ReadAsync(SourceMachine machine, VmId own, CancellationToken cancellationToken)
    {
        FilesOfOthers files = new();
        foreach (VmFacts vm in await machine.Inventory.ListVmsAsync(cancellationToken))
        {
            foreach (VmDiskFacts disk in vm.Id == own ? [] : vm.Disks)
            {
                if (disk.Path is { } path)
                {
                    await files.AddAsync(machine.Images, vm.Name, path, disk.Format, cancellationToken);
                }
                else if (disk is { SourceType: "volume", Source: { } volume })
                {
                    files._unknown.Add($"disk {volume} of VM {vm.Name}"); // its pool does not answer
                }
            }
        }

        return files;
    }

    /// <summary>Why the file must stay, in words; null when nobody else has it.</summary>
    /// <param name="path">As the VM's definition has it.</param>
    /// <param name="file">What that leads to.</param>
    public string? WhyItStays(string path, string file) =>
        (_users.GetValueOrDefault(path) ?? _users.GetValueOrDefault(file)) is { } user ? $"VM {user} has it as well"
        : _unknown.Count > 0 ? $"what {_unknown[0]} stands on cannot be seen now"
        : null;

    private async ValueTask AddAsync(IImageTool images, string vmName, string path, string format, CancellationToken cancellationToken)
    {
        string at = path;
        try
        {
            for (int depth = 0; depth < LongestChain; depth++)
            {
                string file = await images.FollowAsync(at, cancellationToken);
                _users.TryAdd(at, vmName);
                _users.TryAdd(file, vmName);
                if (format == "raw" || await images.FindAsync(file, cancellationToken) is not { Backing: { } backing })
                {
                    return;
                }

                if (backing.StartsWith("file:", StringComparison.Ordinal))
                {
                    backing = backing["file:".Length..];
                }
                else if (backing.Contains(':', StringComparison.Ordinal))
                {
                    return; // A server's, or written as JSON: no file of this host by its name alone.
                }

                at = Path.IsPathRooted(backing) ? backing : Path.Combine(Path.GetDirectoryName(file) ?? "/", backing);
            }
        }
        catch (ImageToolException)
        {
            _unknown.Add($"disk {path} of VM {vmName}");
        }
    }
}
