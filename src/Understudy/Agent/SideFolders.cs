namespace Understudy.Agent;

/// <summary>The folders of a side's VMs. One whose disk has failed is no reason to stop the other side, or what runs already.</summary>
internal static class SideFolders
{
    /// <summary>In order; none when they cannot be listed now, which the log says.</summary>
    public static IReadOnlyList<string> In(string parent, ILogger logger)
    {
        try
        {
            Directory.CreateDirectory(parent);
            return [.. Directory.EnumerateDirectories(parent).Order(StringComparer.Ordinal)];
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            AgentLog.PartStopped(logger, $"Looking for VMs in {parent}", fault.Message, fault);
            return [];
        }
    }
}
