using System.Text.Json;
using Understudy.Api.Control;

namespace Understudy.Vault.Tests.Control;

public sealed class PushQueueTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Newer_state_takes_the_place_of_older_and_events_keep_their_order()
    {
        PushQueue queue = new();
        queue.PostState("source/a", Push("a1"));
        queue.PostEvent(Push("e1"));
        queue.PostState("source/b", Push("b1"));
        queue.PostState("source/a", Push("a2"));
        queue.PostEvent(Push("e2"));

        Assert.Equal(["a2", "e1", "b1", "e2"], await DrainAsync(queue, 4));
    }

    [Fact]
    public async Task State_that_changes_while_it_is_sent_is_sent_again()
    {
        PushQueue queue = new();
        queue.PostState("source/a", Push("a1"));
        PushMessage sending = await queue.PeekAsync(Ct);
        queue.PostState("source/a", Push("a2"));
        queue.Sent(sending);

        Assert.Equal(["a2"], await DrainAsync(queue, 1));
    }

    /// <summary>A send takes longer than it takes until there is a newer report.</summary>
    [Fact]
    public async Task State_that_changes_whenever_it_is_sent_keeps_nobody_else_from_being_sent()
    {
        PushQueue queue = new();
        queue.PostState("source/a", Push("a0"));
        queue.PostState("source/b", Push("b"));
        queue.PostEvent(Push("e"));
        Task gone = queue.WhenSentAsync();
        List<string> sent = [];
        for (int number = 1; number <= 4; number++)
        {
            PushMessage sending = await queue.PeekAsync(Ct);
            queue.PostState("source/a", Push($"a{number}"));
            queue.Sent(sending);
            sent.Add(sending.Kind);
        }

        Assert.Equal(["a0", "b", "e", "a3"], sent);
        await gone.WaitAsync(TimeSpan.FromSeconds(10), Ct);
        Assert.Equal(["a4"], await DrainAsync(queue, 1));
    }

    /// <summary>What waits is an answer, and the newer report is what it was about.</summary>
    [Fact]
    public async Task Who_begins_to_wait_while_the_older_state_is_sent_waits_for_the_newer()
    {
        PushQueue queue = new();
        queue.PostState("source/a", Push("a1"));
        PushMessage sending = await queue.PeekAsync(Ct);
        queue.PostState("source/a", Push("a2"));
        Task gone = queue.WhenSentAsync();
        queue.Sent(sending);
        Assert.False(gone.IsCompleted);
        Assert.Equal(["a2"], await DrainAsync(queue, 1));
        await gone.WaitAsync(TimeSpan.FromSeconds(10), Ct);
    }

    [Fact]
    public async Task A_new_connection_drops_also_the_state_that_was_being_sent()
    {
        PushQueue queue = new();
        queue.PostState("source/a", Push("a1"));
        await queue.PeekAsync(Ct);
        queue.PostState("source/a", Push("a2"));
        queue.ForgetStates();
        queue.PostState("source/a", Push("a3"));

        Assert.Equal(["a3"], await DrainAsync(queue, 1));
    }

    [Fact]
    public async Task What_was_peeked_and_not_sent_stays()
    {
        PushQueue queue = new();
        queue.PostEvent(Push("e1"));
        await queue.PeekAsync(Ct);

        Assert.Equal(["e1"], await DrainAsync(queue, 1));
    }

    [Fact]
    public async Task Beyond_the_limit_the_oldest_event_goes()
    {
        PushQueue queue = new();
        queue.PostState("host", Push("h"));
        for (int number = 0; number <= PushQueue.MaxEvents; number++)
        {
            queue.PostEvent(Push($"e{number}"));
        }

        Assert.Equal(["h", "e1"], await DrainAsync(queue, 2));
    }

    [Fact]
    public async Task Who_waits_for_the_news_so_far_waits_for_none_that_come_later()
    {
        PushQueue queue = new();
        Assert.True(queue.WhenSentAsync().IsCompleted);
        queue.PostState("source/a", Push("a1"));
        queue.PostEvent(Push("e1"));
        Task gone = queue.WhenSentAsync();
        queue.PostEvent(Push("e2"));
        queue.PostState("source/a", Push("a2"));

        Assert.Equal(["a2"], await DrainAsync(queue, 1));
        Assert.False(gone.IsCompleted);
        Assert.Equal(["e1"], await DrainAsync(queue, 1));
        await gone.WaitAsync(TimeSpan.FromSeconds(10), Ct);
        Assert.False(queue.WhenSentAsync().IsCompleted);
    }

    [Fact]
    public async Task What_a_new_connection_or_the_limit_drops_is_not_waited_for()
    {
        PushQueue queue = new();
        queue.PostState("source/a", Push("a1"));
        Task state = queue.WhenSentAsync();
        queue.ForgetStates();
        await state.WaitAsync(TimeSpan.FromSeconds(10), Ct);

        queue.PostEvent(Push("e1"));
        Task oldest = queue.WhenSentAsync();
        for (int number = 0; number < PushQueue.MaxEvents; number++)
        {
            queue.PostEvent(Push("later"));
        }

        await oldest.WaitAsync(TimeSpan.FromSeconds(10), Ct);
    }

    [Fact]
    public async Task A_new_connection_drops_old_state_and_keeps_events()
    {
        PushQueue queue = new();
        queue.PostState("host", Push("h"));
        queue.PostEvent(Push("e1"));
        queue.ForgetStates();

        Assert.Equal(["e1"], await DrainAsync(queue, 1));
    }

    private static PushMessage Push(string kind) => new(kind, JsonSerializer.SerializeToElement(0));

    private static async Task<IReadOnlyList<string>> DrainAsync(PushQueue queue, int count)
    {
        List<string> kinds = [];
        for (int taken = 0; taken < count; taken++)
        {
            PushMessage push = await queue.PeekAsync(Ct);
            queue.Sent(push);
            kinds.Add(push.Kind);
        }

        return kinds;
    }
}
