using System.Diagnostics;
using System.Globalization;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.Vault.Protection;

/// <summary>Branches and mounts as people name them; made from what is known of them, so there is nothing to keep.</summary>
internal static class BranchNames
{
    private const int ShortIdLength = 8;

    /// <summary>What it was and when it was kept: <c>cancelled-20261121-100512</c>.</summary>
    public static string Of(BranchInfo branch) =>
        string.Create(CultureInfo.InvariantCulture, $"{WordOf(branch.Kind)}-{branch.KeptAt.UtcDateTime:yyyyMMdd-HHmmss}");

    public static string Of(MountInfo mount) => mount.Id.ToString()[..ShortIdLength];

    public static bool IsNamed(BranchInfo branch, string name) => name == Of(branch) || name == branch.Id.ToString();

    public static bool IsNamed(MountInfo mount, string name) => name == Of(mount) || name == mount.Id.ToString() || mount.Devices.Contains(name);

    public static BranchDto ToDto(BranchInfo branch, string host) => new(
        Of(branch), branch.Id.Value, branch.Kind, host, branch.Point?.ToString(), branch.KeptAt, branch.ExpiresAt, branch.Bytes, branch.Disks, branch.UsedBy, branch.Label);

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
