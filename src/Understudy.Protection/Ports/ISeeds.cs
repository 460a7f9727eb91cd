using Understudy.Blocks;
using Understudy.Protection.Target.Seeds;

namespace Understudy.Protection.Ports;

/// <summary>Opens what a first copy begins with: images and old replicas that stand on this host.</summary>
public interface ISeeds
{
    /// <summary>For reading only; nothing of it is changed, and nobody is kept from using it. Disposed by the caller. What it
    /// finds in the way throws <see cref="StorageException"/>.</summary>
    ValueTask<IBlockDevice> OpenAsync(SeedPlace place, CancellationToken cancellationToken);
}
