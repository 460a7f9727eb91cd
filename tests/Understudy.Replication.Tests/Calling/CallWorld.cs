using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Replication.Calling;
using Understudy.Replication.Receiving;
using Understudy.Replication.Sending;
using Understudy.Replication.Tests.Transfer;
using Understudy.Testing;

namespace Understudy.Replication.Tests.Calling;

/// <summary>A target that dials, and a source's host that takes calls: links that tests make and cut, as in <see cref="TransferWorld"/>.</summary>
internal sealed class CallWorld : ICalledSources
{
    private readonly Queue<MemoryLink> _links = new();
    private readonly List<IncomingCall> _calls = [];

    public CallWorld(int records = 0)
    {
        Transfer = new TransferWorld(records);
        Receiver = new ReplicationReceiver(Transfer, "0.1.0", Time, NullLogger<ReplicationReceiver>.Instance);
        Door = new ReplicationReceiver(Transfer, "0.1.0", Time, NullLogger<ReplicationReceiver>.Instance, this);
    }

    public TransferWorld Transfer { get; }

    public ManualTime Time => Transfer.Time;

    /// <summary>The target's.</summary>
    public ReplicationReceiver Receiver { get; }

    /// <summary>At the source's host.</summary>
    public ReplicationReceiver Door { get; }

    /// <summary>Whether the source's host knows the caller and its replica.</summary>
    public Func<IncomingCall, bool> Knows { get; set; } = _ => true;

    public IReadOnlyList<IncomingCall> Calls
    {
        get
        {
            lock (_calls)
            {
                return [.. _calls];
            }
        }
    }

    public int Dialled { get; private set; }

    /// <summary>What the next dials get; then fresh links without a cut.</summary>
    public void Next(MemoryLink link) => _links.Enqueue(link);

    public bool TryOffer(IncomingCall call)
    {
        if (!Knows(call))
        {
            return false;
        }

        lock (_calls)
        {
            _calls.Add(call);
        }

        return true;
    }

    /// <summary>Until it is cancelled. The clock runs meanwhile.</summary>
    public Task RunCallerAsync(CancellationToken cancellationToken)
    {
        ReplicationCaller caller = new(Receiver, "0.1.0", Time, NullLogger<ReplicationCaller>.Instance);
        return caller.RunAsync(new CalledSource(TransferWorld.Identity.Replica, TransferWorld.Identity.Vm, TransferWorld.Agent, DialAsync), cancellationToken);
    }

    public async Task<Stream> CalledAsync(int call)
    {
        await UntilAsync(() => Calls.Count > call);
        return (await Calls[call].TryTakeAsync(CancellationToken.None))!; // Decided by nobody else here.
    }

    public ValueTask<ReplicationSender> OpenSessionAsync(Stream stream) =>
        ReplicationSender.ConnectAsync(stream, TransferWorld.Identity, Time, CancellationToken.None);

    /// <summary>Lets the clock run in small steps until it holds.</summary>
    public async Task UntilAsync(Func<bool> holds)
    {
        for (int i = 0; !holds(); i++)
        {
            Assert.True(i < 20_000, "it never came to hold");
            Time.Advance(TimeSpan.FromMilliseconds(200));
            await Task.Delay(1);
        }
    }

    private ValueTask<Stream> DialAsync(CancellationToken cancellationToken)
    {
        Dialled++;
        MemoryLink link = _links.TryDequeue(out MemoryLink? next) ? next : new MemoryLink();
        _ = TakeInAsync(link.Server);
        return ValueTask.FromResult(link.Client);
    }

    private async Task TakeInAsync(Stream stream)
    {
        if (await Door.ServeAsync(stream, TransferWorld.Agent, CancellationToken.None) is UnderstudyException)
        {
            await stream.DisposeAsync();
        }
    }
}
