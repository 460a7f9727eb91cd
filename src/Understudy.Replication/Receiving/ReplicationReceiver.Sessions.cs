using Understudy.Blocks.Identity;

namespace Understudy.Replication.Receiving;

public sealed partial class ReplicationReceiver
{
    /// <summary>Its source is connected now.</summary>
    public bool IsReceiving(ReplicaId replica)
    {
        lock (_lock)
        {
            return _sessions.ContainsKey(replica);
        }
    }

    /// <summary>Takes the replica over: ends the connection that had it and waits until that has let go.</summary>
    private async Task EnterAsync(ReplicaId replica, Session mine)
    {
        Session? before;
        lock (_lock)
        {
            _sessions.TryGetValue(replica, out before);
            _sessions[replica] = mine;
        }

        if (before is not null)
        {
            // Waited for even when this session is superseded meanwhile: whoever comes next waits for this one only, and
            // two sessions must never be at one replica. The older one ends as soon as its call into the storage returns.
            before.Supersede();
            await before.WaitUntilLeftAsync();
            mine.Token.ThrowIfCancellationRequested();
        }
    }

    private void Leave(ReplicaId replica, Session mine)
    {
        lock (_lock)
        {
            if (_sessions.TryGetValue(replica, out Session? current) && current == mine)
            {
                _sessions.Remove(replica);
            }
        }

        mine.Leave();
    }

    /// <summary>One connection's right to a replica. Two connections' tasks meet here.</summary>
    private sealed class Session(CancellationToken outer) : IDisposable
    {
        private readonly Lock _lock = new();
        private readonly CancellationTokenSource _ending = CancellationTokenSource.CreateLinkedTokenSource(outer);
        private readonly Pulse _left = new();
        private bool _isLeft;

        public CancellationToken Token => _ending.Token;

        public bool Superseded { get; private set; }

        public void Supersede()
        {
            lock (_lock)
            {
                if (_isLeft)
                {
                    return;
                }

                Superseded = true;
                _ending.Cancel();
            }
        }

        public ValueTask WaitUntilLeftAsync() => _left.WaitPastAsync(0, CancellationToken.None);

        public void Leave()
        {
            lock (_lock)
            {
                _isLeft = true;
            }

            _left.Beat();
        }

        public void Dispose() => _ending.Dispose();
    }
}
