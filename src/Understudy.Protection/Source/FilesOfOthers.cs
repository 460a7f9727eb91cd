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
        (_users.GetValueOrDefault(Path.GetFullPath(path)) ?? _users.GetValueOrDefault(Path.GetFullPath(file))) is { } user ? $"VM {user} has it as well"
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
                _users.TryAdd(Path.GetFullPath(at), vmName);
                _users.TryAdd(Path.GetFullPath(file), vmName);
                if (format == "raw" || await images.FindAsync(file, cancellationToken) is not { Backing: { } backing })
                {
                    return;
                }

                if (backing.StartsWith("file:", StringComparison.Ordinal))
                {
                    backing = backing["file:".Length..];
                }
                else if (backing.StartsWith("json:", StringComparison.Ordinal))
                {
                    _unknown.Add($"disk {path} of VM {vmName}"); // It may say a file of this host, in many ways.
                    return;
                }
                else if (backing.IndexOf(':', StringComparison.Ordinal) is var colon and >= 0 && backing.IndexOf('/', StringComparison.Ordinal) is var slash && (slash < 0 || colon < slash))
                {
                    return; // A server's: what stands before the colon is a protocol.
                }

                at = Path.GetFullPath(backing, Path.GetDirectoryName(file) ?? "/");
            }
        }
        catch (ImageToolException)
        {
            _unknown.Add($"disk {path} of VM {vmName}");
        }
    }
}
