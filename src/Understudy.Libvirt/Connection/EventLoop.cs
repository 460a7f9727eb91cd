using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Understudy.Libvirt.Native;

namespace Understudy.Libvirt.Connection;

/// <summary>
/// Libvirt's event loop. The C library knows exactly one for the whole process, it has to exist before the first
/// connection is opened, and it cannot be taken away again: hence the static state and a thread that lives as long as
/// the process. Event callbacks, keepalives and the end of connections are all noticed on this thread.
/// </summary>
internal static unsafe class EventLoop
{
    /// <summary>A timer that does nothing but keep the loop from sleeping for ever, so a missed wake-up costs one period.</summary>
    private const int HeartbeatMs = 1000;

    private static readonly Lock Lock = new();
    private static bool _running;

    /// <exception cref="LibvirtException">The library refused to start.</exception>
    /// <exception cref="DllNotFoundException">It is not installed.</exception>
    public static void Ensure(ILogger logger)
    {
        lock (Lock)
        {
            if (_running)
            {
                return;
            }

            NativeResult.Check(LibvirtLibrary.Initialize());
            LibvirtLibrary.SetErrorFunc(0, &Silence);
            NativeResult.Check(LibvirtLibrary.EventRegisterDefaultImpl());
            NativeResult.Check(LibvirtLibrary.EventAddTimeout(HeartbeatMs, &Heartbeat, 0, 0));
            new Thread(() => Run(logger)) { IsBackground = true, Name = "libvirt events" }.Start();
            _running = true;
        }
    }

    private static void Run(ILogger logger)
    {
        while (true)
        {
            if (LibvirtLibrary.EventRunDefaultImpl() < 0)
            {
                logger.EventLoopFailed(LibvirtException.Last().Message);
                Thread.Sleep(HeartbeatMs); // It failed at once: do not spin.
            }
        }
    }

    /// <summary>Without a handler libvirt prints every error to stderr; we read them where they happen.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Silence(nint userData, VirError* error)
    {
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Heartbeat(int timer, nint opaque)
    {
    }
}
