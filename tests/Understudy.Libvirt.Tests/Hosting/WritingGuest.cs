namespace Understudy.Libvirt.Tests.Hosting;

/// <summary>
/// The smallest guest that writes: a boot sector that overwrites pieces of its own disk in an endless loop through the
/// BIOS. Its writes enter where a real guest's do, so an error pauses it as it would pause a real guest.
/// </summary>
internal static class WritingGuest
{
    private static ReadOnlySpan<byte> BootCode =>
    [
        0x31, 0xC0,                         // xor ax, ax
        0x8E, 0xD8,                         // mov ds, ax
        0xBE, 0x22, 0x7C,                   // mov si, packet
        0xB4, 0x43,                         // again: mov ah, 43h (extended write)
        0xB0, 0x00,                         // mov al, 0
        0xB2, 0x80,                         // mov dl, 80h (first disk)
        0xCD, 0x13,                         // int 13h
        0x81, 0x06, 0x2A, 0x7C, 0x40, 0x00, // add word [packet + 8], 64 sectors
        0x81, 0x26, 0x2A, 0x7C, 0xFF, 0x3F, // and word [packet + 8], 3FFFh (within the first 8 MiB)
        0x80, 0x0E, 0x2A, 0x7C, 0x80,       // or byte [packet + 8], 80h (never the boot sector)
        0xEB, 0xE5,                         // jmp again
        0x10, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x10, // packet: 64 sectors from 1000h:0
        0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // to sector 128
    ];

    /// <summary>A disk full of data, so that each write makes a capture keep old content, with the guest in its first sector.</summary>
    public static void InstallOn(string diskPath)
    {
        byte[] content = new byte[TestVm.DiskBytes];
        content.AsSpan().Fill(0xAA);
        BootCode.CopyTo(content);
        content[510] = 0x55;
        content[511] = 0xAA;
        string raw = diskPath + ".raw";
        File.WriteAllBytes(raw, content);
        Tool.Run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, diskPath);
        File.Delete(raw);
    }
}
