using Understudy.Libvirt.Connection;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Connection;

public sealed class EventHubTests
{
    [Fact]
    public async Task A_watcher_that_is_too_slow_is_told_that_it_missed_events()
    {
        var hub = new EventHub();
        await using IAsyncEnumerator<VmEvent> events = hub.WatchAsync(default).GetAsyncEnumerator();
        Task<bool> first = events.MoveNextAsync().AsTask();
        for (int i = 0; i < 1000; i++)
        {
            hub.Publish(new VmEvent(VmEventKind.Lifecycle, null, null, $"{i}"));
        }

        Assert.True(await first);
        List<VmEvent> seen = [events.Current];
        while (seen[^1].Detail != "999")
        {
            Assert.True(await events.MoveNextAsync());
            seen.Add(events.Current);
        }

        Assert.Contains(seen, happened => happened.Kind == VmEventKind.Missed);
        Assert.InRange(seen.Count, 2, 300);
    }

    [Fact]
    public async Task Every_watcher_sees_every_event()
    {
        var hub = new EventHub();
        using EventHub.Watcher one = hub.Subscribe();
        using EventHub.Watcher two = hub.Subscribe();
        var happened = new VmEvent(VmEventKind.IoError, null, "vda", "enospc");

        hub.Publish(happened);

        Assert.Equal((happened, happened), (await one.Reader.ReadAsync(), await two.Reader.ReadAsync()));
    }
}
