namespace Understudy.Model;

/// <summary>Words that must be typed for what cannot be taken back; <c>--yes</c> never stands for one (FO-6).</summary>
public static class Confirmation
{
    public const string Failover = "FAILOVER";

    /// <summary>For a guest that does not shut down: what it had not written yet is lost, as when a plug is pulled.</summary>
    public const string PowerOff = "POWER OFF";

    /// <summary>For a cancel whose source is away: the VM runs nowhere until that host is back.</summary>
    public const string Offline = "OFFLINE";

    /// <summary>For a replica whose storage never comes back: its points are given up.</summary>
    public const string Forget = "FORGET";

    /// <summary>For a host that leaves while something is still protected here, or blocked.</summary>
    public const string Leave = "LEAVE";
}
