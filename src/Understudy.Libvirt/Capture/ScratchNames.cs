using System.Globalization;
using Understudy.Blocks.Identity;

namespace Understudy.Libvirt.Capture;

/// <summary>
/// Names of a capture's files. Each capture has names of its own, because libvirt refuses a scratch image that exists;
/// and they say whose they are, because after a crash the folder is all that is known: <c>us-VM-NUMBER</c> (sixteen
/// digits of the VM's id, twelve at random), then <c>.sock</c> or <c>-DISK.scratch</c>.
/// </summary>
internal sealed record ScratchNames(string Folder, string Stem)
{
    /// <summary>Of the socket: only its path has a limit, 107 bytes.</summary>
    public const int LongestFileName = 3 + 16 + 1 + 12 + 5;

    public string Socket => Path.Combine(Folder, Stem + ".sock");

    public static ScratchNames For(string folder, VmId vm, UInt128 random) =>
        new(folder, string.Create(CultureInfo.InvariantCulture, $"{PrefixOf(vm)}{(ulong)random & 0xFFFF_FFFF_FFFF:x12}"));

    public static string PrefixOf(VmId vm) => $"us-{vm.Value.ToString("N")[..16]}-";

    public string ScratchOf(string targetDevice) => Path.Combine(Folder, $"{Stem}-{targetDevice}.scratch");

    /// <summary>The path, as libvirt reports it, is of a capture of ours of this VM.</summary>
    public static bool IsOurs(string folder, VmId vm, string path) =>
        Path.GetDirectoryName(path) == folder && Path.GetFileName(path).StartsWith(PrefixOf(vm), StringComparison.Ordinal);
}
