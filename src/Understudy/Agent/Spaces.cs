using System.Collections.Concurrent;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>
/// How much is free in the file systems of folders. Each is asked by a thread of its own and waited for a moment: of one that
/// hangs (a share whose server is gone) it is said that it does not answer, and nobody waits for it again until it does.
/// </summary>
/// <param name="measure">Blocks, some for ever.</param>
internal sealed class Spaces(TimeProvider time, Func<string, StorageSpace> measure)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, Look> _underWay = new(StringComparer.Ordinal);

    public async Task<StorageSpace> OfAsync(string path, CancellationToken cancellationToken)
    {
        // Two that begin at once make two looks, of which one is kept and the other only begun with its first reader.
        Look look = _underWay.GetOrAdd(path, _ => new Look(time.GetTimestamp(), new(() => Begin(path))));
        Task<StorageSpace> measuring = look.Measuring.Value;
        TimeSpan left = Patience - time.GetElapsedTime(look.Began);
        if (left <= TimeSpan.Zero && !measuring.IsCompleted)
        {
            return Silent(path);
        }

        try
        {
            return measuring.IsCompleted ? await measuring : await measuring.WaitAsync(left, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            return Silent(path);
        }
        finally
        {
            if (measuring.IsCompleted)
            {
                _underWay.TryRemove(KeyValuePair.Create(path, look));
            }
        }
    }

    private static StorageSpace Silent(string path) => new(path, 0, 0, "the file system there does not answer");

    /// <summary>Not of the pool's threads: those that hang would be missed there.</summary>
    private Task<StorageSpace> Begin(string path) =>
        Task.Factory.StartNew(() => measure(path), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private sealed record Look(long Began, Lazy<Task<StorageSpace>> Measuring);
}
