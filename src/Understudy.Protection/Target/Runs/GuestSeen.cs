namespace Understudy.Protection.Target.Runs;

/// <summary>How the failed-over VM was last seen by an agent that might start it; durable, for the boot after this one.</summary>
/// <param name="Failover">Of which failover it is the VM.</param>
/// <param name="Runs">It was on. One that somebody has shut down stays off.</param>
/// <param name="Boot">Of the host, in which that was so.</param>
public sealed record GuestSeen(Guid Failover, bool Runs, string Boot);
