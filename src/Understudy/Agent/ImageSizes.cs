using System.Collections.Concurrent;

namespace Understudy.Agent;

/// <summary>
/// What image files and folders of them take, as measured last. Reports read it and never wait for a file system: one that
/// hangs (a share whose server is gone) would keep every report, and with them every answer, of this host.
/// </summary>
internal sealed class ImageSizes(TimeProvider time)
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<string, Measured> _known = new(StringComparer.Ordinal);

    /// <summary>Bytes; 0 for what is not there, cannot be read, or has not been measured yet.</summary>
    public long Of(string path)
    {
        Measured known = _known.GetOrAdd(path, _ => new Measured());
        if (known.Begin(time))
        {
            known.Measuring = Task.Factory.StartNew(
                () => Measure(path, known), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default); // a thread of its own: it may hang
        }

        return known.Bytes;
    }

    private void Measure(string path, Measured known)
    {
        long? bytes = BytesOf(path);
        known.End(time, bytes ?? 0);
        if (bytes is null)
        {
            _known.TryRemove(path, out _);
        }
    }

    private static long? BytesOf(string path)
    {
        try
        {
            return Directory.Exists(path) ? new DirectoryInfo(path).EnumerateFiles().Sum(file => file.Length)
                : File.Exists(path) ? new FileInfo(path).Length
                : null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null; // a file that went while it was counted
        }
    }

    private sealed class Measured
    {
        private readonly Lock _lock = new();
        private bool _underWay;
        private long? _at;
        private long _bytes;

        /// <summary>Never faults.</summary>
        public Task Measuring { get; set; } = Task.CompletedTask;

        public long Bytes => Interlocked.Read(ref _bytes);

        /// <summary>True for the one who is to measure now.</summary>
        public bool Begin(TimeProvider time)
        {
            lock (_lock)
            {
                bool due = !_underWay && (_at is not { } at || time.GetElapsedTime(at) >= Every);
                _underWay |= due;
                return due;
            }
        }

        public void End(TimeProvider time, long bytes)
        {
            lock (_lock)
            {
                (_underWay, _at) = (false, time.GetTimestamp());
                Interlocked.Exchange(ref _bytes, bytes);
            }
        }
    }
}
