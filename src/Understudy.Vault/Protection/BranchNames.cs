using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.Vault.Protection;

/// <summary>Branches and mounts as people name them.</summary>
internal static class BranchNames
{
    private const int ShortIdLength = 8;

    public static string Of(BranchInfo branch) => BranchName.Of(branch);

    public static string Of(MountInfo mount) => mount.Id.ToString()[..ShortIdLength];

    public static bool IsNamed(BranchInfo branch, string name) => BranchName.Is(branch, name);

    public static bool IsNamed(MountInfo mount, string name) => name == Of(mount) || name == mount.Id.ToString() || mount.Devices.Contains(name);

    public static BranchDto ToDto(BranchInfo branch, string host) => new(
        Of(branch), branch.Id.Value, branch.Kind, host, branch.Point?.ToString(), branch.KeptAt, branch.ExpiresAt, branch.Bytes, branch.Disks, branch.UsedBy, branch.Label);
}
