using System.Runtime.InteropServices;

namespace Understudy.Libvirt.Native;

/// <summary>Checks of results and ownership of what libvirt allocates.</summary>
internal static unsafe class NativeResult
{
    /// <summary>Libvirt answers minus one (or less) for failure.</summary>
    public static int Check(int result) => result < 0 ? throw LibvirtException.Last() : result;

    public static T Check<T>(T handle)
        where T : LibvirtHandle
    {
        if (!handle.IsInvalid)
        {
            return handle;
        }

        LibvirtException reason = LibvirtException.Last();
        handle.Dispose();
        throw reason;
    }

    /// <summary>Copies and frees a text that belongs to us.</summary>
    public static string Take(nint text)
    {
        if (text == 0)
        {
            throw LibvirtException.Last();
        }

        try
        {
            return Marshal.PtrToStringUTF8(text)!; // Not null: the address is not.
        }
        finally
        {
            NativeMemory.Free((void*)text);
        }
    }

    /// <summary>Wraps each element of an array that libvirt allocated, and frees the array itself.</summary>
    public static T[] TakeArray<T>(int count, nint array, Func<nint, T> wrap)
        where T : LibvirtHandle
    {
        Check(count);
        var handles = new T[count];
        for (int i = 0; i < count; i++)
        {
            handles[i] = wrap(((nint*)array)[i]);
        }

        NativeMemory.Free((void*)array);
        return handles;
    }
}
