using System.Runtime.InteropServices;

namespace Understudy.Libvirt.Native;

/// <summary>Reads libvirt's lists of typed parameters.</summary>
internal static unsafe class JobStats
{
    private const int TypeInt32 = 1;
    private const int TypeUInt32 = 2;
    private const int TypeInt64 = 3;
    private const int TypeUInt64 = 4;

    public static bool TryFind(VirTypedParameter* parameters, int count, string name, out long value)
    {
        for (int i = 0; i < count; i++)
        {
            VirTypedParameter* parameter = parameters + i;
            if (Marshal.PtrToStringUTF8((nint)parameter->Field) != name)
            {
                continue;
            }

            value = parameter->Type switch
            {
                TypeInt32 => parameter->Int32,
                TypeUInt32 => parameter->UInt32,
                TypeInt64 => parameter->Int64,
                TypeUInt64 => (long)Math.Min(parameter->UInt64, long.MaxValue),
                _ => 0,
            };
            return true;
        }

        value = 0;
        return false;
    }
}
