using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Native;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Connection;

/// <summary>
/// The functions libvirt calls on its event thread. They never call back into libvirt (that could wait for a reply that
/// only this thread can read), never throw, and find their session by number: an address could outlive its object,
/// because libvirt may still be inside a callback while it is being deregistered.
/// </summary>
internal static unsafe class EventCallbacks
{
    private static readonly ConcurrentDictionary<nint, LibvirtSession> Sessions = new();
    private static long _lastNumber;

    public static nint Add(LibvirtSession session)
    {
        nint number = (nint)Interlocked.Increment(ref _lastNumber);
        Sessions[number] = session;
        return number;
    }

    public static void Remove(nint number) => Sessions.TryRemove(number, out _);

    /// <summary>Event ids with the callback of the right signature for each.</summary>
    public static List<int> RegisterAll(ConnectHandle connect, nint number)
    {
        List<int> ids = [];
        try
        {
            Register(LibvirtConstants.EventLifecycle, (delegate* unmanaged[Cdecl]<nint, nint, int, int, nint, void>)&OnLifecycle);
            Register(LibvirtConstants.EventIoErrorReason, (delegate* unmanaged[Cdecl]<nint, nint, nint, nint, int, nint, nint, void>)&OnIoError);
            Register(LibvirtConstants.EventBlockJob2, (delegate* unmanaged[Cdecl]<nint, nint, nint, int, int, nint, void>)&OnBlockJob);
            Register(LibvirtConstants.EventAgentLifecycle, (delegate* unmanaged[Cdecl]<nint, nint, int, int, nint, void>)&OnAgent);
            Register(LibvirtConstants.EventJobCompleted, (delegate* unmanaged[Cdecl]<nint, nint, nint, int, nint, void>)&OnJobCompleted);
            return ids;
        }
        catch
        {
            ids.ForEach(id => _ = LibvirtLibrary.ConnectDomainEventDeregisterAny(connect, id));
            throw;
        }

        void Register(int eventId, void* callback) =>
            ids.Add(NativeResult.Check(LibvirtLibrary.ConnectDomainEventRegisterAny(connect, 0, eventId, callback, number, 0)));
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    public static void OnClose(nint connect, int reason, nint number)
    {
        if (Sessions.TryGetValue(number, out LibvirtSession? session))
        {
            session.MarkClosed(reason switch { 0 => "error", 1 => "end of stream", 2 => "keepalive without answer", _ => "closed by us" });
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnLifecycle(nint connect, nint domain, int happened, int detail, nint number) =>
        Publish(number, VmEventKind.Lifecycle, domain, null, $"lifecycle {happened}, detail {detail}");

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnIoError(nint connect, nint domain, nint path, nint alias, int action, nint reason, nint number) =>
        Publish(number, VmEventKind.IoError, domain, null, $"{Text(alias)} {Text(path)}: {Text(reason)} (action {action})");

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnBlockJob(nint connect, nint domain, nint disk, int type, int status, nint number) =>
        Publish(number, VmEventKind.BlockJob, domain, Text(disk), $"block job type {type}, status {status}");

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnAgent(nint connect, nint domain, int state, int reason, nint number) =>
        Publish(number, VmEventKind.GuestAgent, domain, null, state == 1 ? "connected" : "disconnected");

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnJobCompleted(nint connect, nint domain, nint parameters, int count, nint number) =>
        Publish(number, VmEventKind.JobEnded, domain, null, "job ended");

    private static void Publish(nint number, VmEventKind kind, nint domain, string? device, string detail)
    {
        if (Sessions.TryGetValue(number, out LibvirtSession? session) && DomainIds.TryRead(domain, out VmId vm))
        {
            session.Publish(new VmEvent(kind, vm, device, detail));
        }
    }

    private static string Text(nint text) => Marshal.PtrToStringUTF8(text) ?? "";
}
