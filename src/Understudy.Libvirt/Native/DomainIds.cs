using System.Buffers.Text;
using Understudy.Blocks.Identity;

namespace Understudy.Libvirt.Native;

/// <summary>The UUID of a domain pointer: local, no round trip.</summary>
internal static unsafe class DomainIds
{
    public static bool TryRead(nint domain, out VmId vm)
    {
        byte* buffer = stackalloc byte[LibvirtConstants.UuidTextBytes];
        Guid value = default;
        bool ok = LibvirtLibrary.DomainGetUuid(domain, buffer) == 0
            && Utf8Parser.TryParse(new ReadOnlySpan<byte>(buffer, LibvirtConstants.UuidTextBytes - 1), out value, out _);
        vm = new VmId(value);
        return ok;
    }

    public static VmId Read(DomainHandle domain)
    {
        bool added = false;
        try
        {
            domain.DangerousAddRef(ref added);
            return TryRead(domain.DangerousGetHandle(), out VmId vm) ? vm : throw LibvirtException.Last();
        }
        finally
        {
            if (added)
            {
                domain.DangerousRelease();
            }
        }
    }
}
