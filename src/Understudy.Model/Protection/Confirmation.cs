namespace Understudy.Model;

/// <summary>Words that must be typed for what cannot be taken back; <c>--yes</c> never stands for one (FO-6).</summary>
public static class Confirmation
{
    public const string Failover = "FAILOVER";
}
