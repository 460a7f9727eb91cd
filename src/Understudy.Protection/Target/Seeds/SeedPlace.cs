namespace Understudy.Protection.Target.Seeds;

/// <summary>Where the old content of a disk is on this host.</summary>
/// <param name="Path">An image or a block device, or the folder of an old replica.</param>
/// <param name="Format">The image's, as QEMU calls it; <see cref="Replica"/> for an old replica.</param>
/// <param name="ImageFolder">Where an old replica's base images are now; null for where its host had them.</param>
public sealed record SeedPlace(string TargetDevice, string Path, string Format, string? ImageFolder = null)
{
    public const string Replica = "replica";
}
