using System.Buffers.Binary;

namespace Understudy.Libvirt;

/// <summary>
/// How large the disk is that an image holds, read from the file itself. Libvirt would be asked with the VM locked, and a
/// share whose server is gone then keeps that VM, and with it every list of VMs, from everybody.
/// </summary>
internal static class ImageSize
{
    private const uint Qcow2Magic = 0x514649FB;
    private const int Qcow2SizeOffset = 24;

    /// <summary>Zero where it is not known: another format, no file, no image. Blocks for as long as the file system does.</summary>
    public static long Read(string path, string? format)
    {
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            return format switch
            {
                "raw" => file.Seek(0, SeekOrigin.End), // also of a device, whose length is not in its directory entry
                "qcow2" => ReadQcow2(file),
                _ => 0,
            };
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    private static long ReadQcow2(FileStream file)
    {
        Span<byte> header = stackalloc byte[Qcow2SizeOffset + sizeof(ulong)];
        return file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) == header.Length
            && BinaryPrimitives.ReadUInt32BigEndian(header) == Qcow2Magic
            && BinaryPrimitives.ReadUInt64BigEndian(header[Qcow2SizeOffset..]) is <= long.MaxValue and var bytes
            ? (long)bytes
            : 0;
    }
}
