using Understudy.Model;

namespace Understudy.Vault.Sites;

/// <summary>Ports that stand open only to be dialled once, for a choice that is not kept yet: nobody else knows what for, and closes
/// them. Requests begin and end trials, the keeper asks.</summary>
internal sealed class PortTrials(Changes changes)
{
    private readonly Lock _lock = new(); // guards _standing
    private readonly List<HostId> _standing = []; // once for each trial of the host

    /// <summary>Until it is disposed.</summary>
    public Trial Begin() => new(this);

    public bool Has(HostId host)
    {
        lock (_lock)
        {
            return _standing.Contains(host);
        }
    }

    internal sealed class Trial(PortTrials trials) : IDisposable
    {
        private readonly List<HostId> _mine = [];

        public void Add(HostId host)
        {
            _mine.Add(host);
            lock (trials._lock)
            {
                trials._standing.Add(host);
            }
        }

        /// <summary>What nobody needs is closed now.</summary>
        public void Dispose()
        {
            lock (trials._lock)
            {
                _mine.ForEach(host => trials._standing.Remove(host));
            }

            trials.Changed();
        }
    }

    private void Changed() => changes.Publish(Changes.Links);
}
