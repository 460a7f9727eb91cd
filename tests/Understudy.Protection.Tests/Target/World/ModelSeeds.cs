using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Seeds;
using Understudy.Testing.Devices;

namespace Understudy.Protection.Tests.Target.World;

/// <summary>Seeds in memory, by path. They are only ever read: a write fails the test.</summary>
internal sealed class ModelSeeds : ISeeds
{
    public Dictionary<string, byte[]> Contents { get; } = [];

    /// <summary>Nothing can be opened: the medium is gone.</summary>
    public bool IsGone { get; set; }

    /// <summary>Reads wait until they are cancelled.</summary>
    public bool Hangs { get; set; }

    public int Opened { get; private set; }

    public async ValueTask<IBlockDevice> OpenAsync(SeedPlace place, CancellationToken cancellationToken)
    {
        Opened++;
        if (IsGone)
        {
            throw new StorageException(FaultKind.Missing, place.Path, "the medium is gone");
        }

        if (Hangs)
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }

        byte[] content = Contents[place.Path];
        MemoryBlockDevice device = new(content.Length);
        await device.WriteAsync(0, content, CancellationToken.None);
        return new ReadOnlyDevice(device);
    }
}
