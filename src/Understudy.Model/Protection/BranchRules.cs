namespace Understudy.Model;

/// <summary>How long the state of a line that lost is kept at a target. The old disks of a source are kept until deleted by name.</summary>
public static class BranchRules
{
    public const int DefaultDays = 7;
    public const int FewestDays = 1;
    public const int MostDays = 365;
}
