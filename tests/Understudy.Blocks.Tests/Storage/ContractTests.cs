using Understudy.Blocks.Storage;
using Understudy.Testing.Contracts;
using Understudy.Testing.Devices;

namespace Understudy.Blocks.Tests.Storage;

public sealed class FolderStoreContract : FileStoreContract, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    protected override ValueTask<IFileStore> OpenEmptyAsync() => new(new FolderStore(_folder.Path));
}

public sealed class MemoryFileStoreContract : FileStoreContract
{
    protected override ValueTask<IFileStore> OpenEmptyAsync() => new(new MemoryFileStore(1024 * 1024));
}

public sealed class FileBlockDeviceContract : BlockDeviceContract, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    protected override ValueTask<IBlockDevice> OpenEmptyAsync(long sizeBytes) =>
        new(FileBlockDevice.Create(_folder.File("disk.raw"), sizeBytes));
}

public sealed class MemoryBlockDeviceContract : BlockDeviceContract
{
    protected override ValueTask<IBlockDevice> OpenEmptyAsync(long sizeBytes) => new(new MemoryBlockDevice(sizeBytes));
}
