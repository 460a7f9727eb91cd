using System.Diagnostics;
using System.Globalization;

namespace Understudy.Model;

/// <summary>A branch as people name it, in the vault and on its host; made from what is known of it, so there is nothing to keep.</summary>
public static class BranchName
{
    /// <summary>What it was and when it was kept: <c>cancelled-20261121-100512</c>.</summary>
    public static string Of(BranchInfo branch) => Of(branch.Kind, branch.KeptAt);

    public static string Of(BranchKind kind, DateTimeOffset keptAt) =>
        string.Create(CultureInfo.InvariantCulture, $"{WordOf(kind)}-{keptAt.UtcDateTime:yyyyMMdd-HHmmss}");

    /// <summary>By that name or its id.</summary>
    public static bool Is(BranchInfo branch, string name) => name == Of(branch) || name == branch.Id.ToString();

    private static string WordOf(BranchKind kind) => kind switch
    {
        BranchKind.CancelledFailover => "cancelled",
        BranchKind.ChangedPoint => "changed",
        BranchKind.PromotedTest => "promoted",
        BranchKind.DeposedSource => "deposed",
        BranchKind.RetiredSource => "retired",
        _ => throw new UnreachableException($"branch {kind}"),
    };
}
