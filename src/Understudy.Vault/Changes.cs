using System.Collections.Concurrent;

namespace Understudy.Vault;

/// <summary>
/// Tells waiting readers that something changed; what it is they read for themselves. Take the task first, read, then
/// await it: so no change between the two is missed.
/// </summary>
internal sealed class Changes
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _topics = new(StringComparer.Ordinal);

    public static string Job(long job) => $"job/{job}";

    public static string Vm(Guid vm) => $"vm/{vm}";

    public const string Events = "events";

    public const string Hosts = "hosts";

    /// <summary>One has begun or ended.</summary>
    public const string Protections = "protections";

    /// <summary>Who dials whom: the choices for sites, or what an agent said of its part.</summary>
    public const string Links = "links";

    public Task Next(string topic) =>
        _topics.GetOrAdd(topic, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public void Publish(string topic)
    {
        if (_topics.TryRemove(topic, out TaskCompletionSource? waiting))
        {
            waiting.TrySetResult();
        }
    }
}
