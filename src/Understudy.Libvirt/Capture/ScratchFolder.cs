using System.Runtime.InteropServices;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Capture;

/// <summary>
/// The folder where QEMU makes sockets and libvirt makes scratch images: it belongs to QEMU's user and to nobody else,
/// since whoever reaches the socket can read the guest's disks.
/// </summary>
internal sealed partial class ScratchFolder(string path)
{
    public string Path { get; } = path;

    public bool Exists => Directory.Exists(Path);

    /// <exception cref="HypervisorException">It cannot be made, or not be given to QEMU's user.</exception>
    public void Create(QemuUser? owner)
    {
        try
        {
            Directory.CreateDirectory(Path);
            File.SetUnixFileMode(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            CheckReachable(owner);
            if (owner is { } user && ChangeOwner(Path, user.UserId, user.GroupId) != 0)
            {
                throw new IOException($"its owner cannot be changed to {user.UserId}: {Marshal.GetLastPInvokeErrorMessage()}");
            }
        }
        catch (Exception reason) when (reason is IOException or UnauthorizedAccessException)
        {
            throw new HypervisorException(
                HypervisorFault.Refused, $"the scratch folder {Path} cannot be prepared: {reason.Message}", "Choose another scratch folder, or run the agent as root.", reason);
        }
    }

    /// <summary>QEMU's own error would name the socket, not the folder above it that is closed.</summary>
    private void CheckReachable(QemuUser? owner)
    {
        for (DirectoryInfo? parent = Directory.GetParent(Path); owner is not null && parent is not null; parent = parent.Parent)
        {
            if ((parent.UnixFileMode & UnixFileMode.OtherExecute) == 0)
            {
                throw new IOException($"QEMU's user {owner.Value.UserId} cannot pass {parent.FullName} (chmod o+x would let it)");
            }
        }
    }

    /// <summary>What the file system still takes: a guest must never meet its end.</summary>
    public long FreeBytes() => new DriveInfo(Path).AvailableFreeSpace;

    public static void Delete(ScratchNames names, IReadOnlyList<string> targetDevices)
    {
        File.Delete(names.Socket);
        foreach (string device in targetDevices)
        {
            File.Delete(names.ScratchOf(device));
        }
    }

    /// <summary>Files of captures of this VM, except those whose names are given.</summary>
    public void DeleteAll(VmId vm, IReadOnlyCollection<string> liveStems)
    {
        if (!Exists)
        {
            return;
        }

        foreach (string file in Directory.GetFiles(Path, ScratchNames.PrefixOf(vm) + "*"))
        {
            if (!liveStems.Any(stem => System.IO.Path.GetFileName(file).StartsWith(stem, StringComparison.Ordinal)))
            {
                File.Delete(file);
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "chown", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int ChangeOwner(string path, uint user, uint group);
}
