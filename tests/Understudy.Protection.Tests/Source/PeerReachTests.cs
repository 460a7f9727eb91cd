using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Source;
using Understudy.Replication.Calling;
using Understudy.Replication.Wire;
using Understudy.Testing;

namespace Understudy.Protection.Tests.Source;

/// <summary>A source's way to its target: dialled from here or called from there, and changed under way (REG-3).</summary>
public sealed class PeerReachTests
{
    private static readonly ReplicaId Replica = new(Guid.NewGuid());

    private readonly ManualTime _time = new();

    [Fact]
    public async Task Source_that_dials_dials()
    {
        Dialler dialler = new();
        PeerReach reach = new(dialler, dials: true, _time);
        Assert.Same(dialler.Streams[0], await reach.ConnectAsync(CancellationToken.None));
        Assert.True(await reach.ProbeAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Source_that_waits_to_be_called_never_dials()
    {
        Dialler dialler = new();
        PeerReach reach = new(dialler, dials: false, _time);
        Task<Stream> connecting = reach.ConnectAsync(CancellationToken.None).AsTask();
        for (int second = 0; second < 6; second++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        UnderstudyException fault = await Assert.ThrowsAsync<UnderstudyException>(() => connecting);
        Assert.Equal(FaultClass.Transient, fault.Class);
        Assert.False(await reach.ProbeAsync(CancellationToken.None));
        Assert.Empty(dialler.Used);
    }

    [Fact]
    public async Task Call_ends_the_wait_for_one_and_is_answered()
    {
        PeerReach reach = new(new Dialler(), dials: false, _time);
        int told = 0;
        reach.Called = () => told++;
        Task<Stream> connecting = reach.ConnectAsync(CancellationToken.None).AsTask();
        WatchedStream stream = new();
        reach.Offer(Call(stream));
        Assert.Same(stream, await connecting);
        Assert.Equal(ControlFrameCodec.Encode(ControlFrame.Answer.Value), stream.ToArray());
        Assert.Equal(1, told);
    }

    [Fact]
    public async Task Call_that_waits_answers_a_probe_and_is_taken_before_anything_is_dialled()
    {
        Dialler dialler = new();
        PeerReach reach = new(dialler, dials: true, _time);
        WatchedStream stream = new();
        reach.Offer(Call(stream));
        Assert.True(await reach.ProbeAsync(CancellationToken.None));
        Assert.Same(stream, await reach.ConnectAsync(CancellationToken.None));
        Assert.Empty(dialler.Used);
    }

    [Fact]
    public void Newer_call_sends_the_older_away()
    {
        PeerReach reach = new(new Dialler(), dials: false, _time);
        IncomingCall older = Call(new WatchedStream());
        reach.Offer(older);
        reach.Offer(Call(new WatchedStream()));
        Assert.True(older.IsOver);
        Assert.False(older.TryRefuse(Refusal.NotNow()));
    }

    [Fact]
    public async Task Newer_call_ends_the_session_on_an_older_one_because_a_target_has_one_at_a_time()
    {
        PeerReach reach = new(new Dialler(), dials: false, _time);
        WatchedStream older = new();
        reach.Offer(Call(older));
        await reach.ConnectAsync(CancellationToken.None);
        Assert.False(older.IsDisposed);
        reach.Offer(Call(new WatchedStream()));
        Assert.True(older.IsDisposed);
    }

    [Fact]
    public async Task Call_leaves_a_session_alone_that_was_dialled_from_here()
    {
        Dialler dialler = new();
        PeerReach reach = new(dialler, dials: true, _time);
        await reach.ConnectAsync(CancellationToken.None);
        reach.Offer(Call(new WatchedStream()));
        Assert.False(dialler.Streams[0].IsDisposed);
    }

    [Fact]
    public async Task Choice_that_the_target_dials_ends_the_connection_that_was_dialled_from_here()
    {
        Dialler dialler = new();
        PeerReach reach = new(dialler, dials: true, _time);
        await reach.ConnectAsync(CancellationToken.None);
        reach.Use(dialler, dials: false);
        Assert.True(dialler.Streams[0].IsDisposed);
    }

    [Fact]
    public async Task Choice_that_this_side_dials_leaves_the_connection_to_the_target_that_made_it()
    {
        PeerReach reach = new(new Dialler(), dials: false, _time);
        WatchedStream stream = new();
        reach.Offer(Call(stream));
        await reach.ConnectAsync(CancellationToken.None);
        Dialler dialler = new();
        reach.Use(dialler, dials: true);
        Assert.False(stream.IsDisposed);
        Assert.Same(dialler.Streams[0], await reach.ConnectAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Choice_made_while_dialling_lets_that_connection_go()
    {
        Dialler dialler = new() { Gate = new TaskCompletionSource() };
        PeerReach reach = new(dialler, dials: true, _time);
        Task<Stream> connecting = reach.ConnectAsync(CancellationToken.None).AsTask();
        reach.Use(new Dialler(), dials: false);
        dialler.Gate.SetResult();
        WatchedStream stream = new();
        reach.Offer(Call(stream));
        Assert.Same(stream, await connecting);
        Assert.True(dialler.Streams[0].IsDisposed);
    }

    [Fact]
    public async Task Call_that_broke_before_it_was_taken_is_a_fault_that_is_tried_again()
    {
        PeerReach reach = new(new Dialler(), dials: false, _time);
        WatchedStream stream = new();
        await stream.DisposeAsync();
        reach.Offer(Call(stream));
        UnderstudyException fault = await Assert.ThrowsAnyAsync<UnderstudyException>(() => reach.ConnectAsync(CancellationToken.None).AsTask());
        Assert.Equal(FaultClass.Transient, fault.Class);
    }

    private static IncomingCall Call(Stream stream) => new(new ControlFrame.Call(Replica, new VmId(Guid.NewGuid())), Guid.NewGuid(), stream);

    private sealed class WatchedStream : MemoryStream
    {
        public bool IsDisposed { get; private set; }

        protected override void Dispose(bool disposing)
        {
            IsDisposed = true;
            base.Dispose(disposing);
        }
    }

    private sealed class Dialler : IPeerConnector
    {
        public List<WatchedStream> Streams { get; } = [new(), new()];

        public List<WatchedStream> Used { get; } = [];

        public TaskCompletionSource? Gate { get; init; }

        public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
        {
            await (Gate?.Task ?? Task.CompletedTask);
            Used.Add(Streams[Used.Count]);
            return Used[^1];
        }

        public ValueTask<bool> ProbeAsync(CancellationToken cancellationToken) => ValueTask.FromResult(true);
    }
}
