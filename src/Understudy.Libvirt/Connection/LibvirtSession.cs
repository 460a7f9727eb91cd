using Understudy.Libvirt.Native;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Connection;

/// <summary>One connection from its opening to its end; a new one takes its place. Made and disposed on a worker thread.</summary>
internal sealed unsafe class LibvirtSession : IDisposable
{
    /// <summary>A silent peer is given up after interval times count: 15 s.</summary>
    private const int KeepAliveSeconds = 5;
    private const uint KeepAliveCount = 3;

    private readonly TaskCompletionSource<string> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly EventHub _hub;
    private readonly nint _number;
    private readonly List<int> _registrations;

    private LibvirtSession(ConnectHandle connect, EventHub hub)
    {
        Connect = connect;
        _hub = hub;
        _number = EventCallbacks.Add(this);
        try
        {
            NativeResult.Check(LibvirtLibrary.ConnectSetKeepAlive(connect, KeepAliveSeconds, KeepAliveCount));
            NativeResult.Check(LibvirtLibrary.ConnectRegisterCloseCallback(connect, &EventCallbacks.OnClose, _number, 0));
            _registrations = EventCallbacks.RegisterAll(connect, _number);
        }
        catch
        {
            EventCallbacks.Remove(_number);
            throw;
        }
    }

    public ConnectHandle Connect { get; }

    /// <summary>Ends with the reason when the connection does. Set on libvirt's event thread or by a call that found it dead.</summary>
    public Task<string> Closed => _closed.Task;

    public static LibvirtSession Open(string uri, EventHub hub)
    {
        ConnectHandle connect = NativeResult.Check(LibvirtLibrary.ConnectOpen(uri));
        try
        {
            return new LibvirtSession(connect, hub);
        }
        catch
        {
            connect.Dispose();
            throw;
        }
    }

    public void MarkClosed(string reason) => _closed.TrySetResult(reason);

    public void Publish(VmEvent happened) => _hub.Publish(happened);

    /// <summary>Callbacks hold references inside libvirt, so they go first; on a dead connection these calls fail at once.</summary>
    public void Dispose()
    {
        EventCallbacks.Remove(_number);
        _registrations.ForEach(id => _ = LibvirtLibrary.ConnectDomainEventDeregisterAny(Connect, id));
        _ = LibvirtLibrary.ConnectUnregisterCloseCallback(Connect, &EventCallbacks.OnClose);
        Connect.Dispose();
        MarkClosed("closed by us");
    }
}
