using Understudy.Blocks.Storage;

namespace Understudy.Blocks.Tests.Storage;

public sealed class FileBlockDeviceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Read_only_device_refuses_writes_zeros_and_has_nothing_to_flush()
    {
        await FileBlockDevice.Create(_folder.File("d"), 8192).DisposeAsync();
        await using FileBlockDevice device = FileBlockDevice.Open(_folder.File("d"), readOnly: true);

        Assert.True(device.IsReadOnly);
        foreach (Func<Task> attempt in (Func<Task>[])[
            () => device.WriteAsync(0, new byte[512], Token).AsTask(),
            () => device.ZeroAsync(new ByteRange(0, 512), Token).AsTask()])
        {
            StorageException fault = await Assert.ThrowsAsync<StorageException>(attempt);
            Assert.Equal(FaultKind.Denied, fault.Kind);
        }

        await device.FlushAsync(Token);
    }

    [Fact]
    public async Task Create_refuses_to_touch_an_existing_file()
    {
        await FileBlockDevice.Create(_folder.File("d"), 8192).DisposeAsync();

        StorageException fault = Assert.Throws<StorageException>(() => FileBlockDevice.Create(_folder.File("d"), 8192));

        Assert.Equal(FaultKind.Exists, fault.Kind);
    }

    [Fact]
    public async Task File_cut_short_behind_our_back_is_torn_and_not_zeros()
    {
        await using FileBlockDevice device = FileBlockDevice.Create(_folder.File("d"), 8192);
        File.WriteAllBytes(_folder.File("d"), new byte[4096]);

        StorageException fault = await Assert.ThrowsAsync<StorageException>(
            async () => await device.ReadAsync(0, new byte[8192], Token));

        Assert.Equal(FaultKind.Torn, fault.Kind);
    }

    [Fact]
    public async Task Zeroing_gives_the_space_back()
    {
        await using FileBlockDevice device = FileBlockDevice.Create(_folder.File("d"), 1024 * 1024);
        await device.WriteAsync(0, Enumerable.Repeat((byte)7, 1024 * 1024).ToArray(), Token);
        await device.ZeroAsync(new ByteRange(0, 1024 * 1024), Token);
        await device.FlushAsync(Token);

        IReadOnlyList<BlockExtent> extents = await device.GetExtentsAsync(new ByteRange(0, 1024 * 1024), Token);

        Assert.Equal([new BlockExtent(new ByteRange(0, 1024 * 1024), ExtentKind.Hole)], extents);
    }

    [Fact]
    public void Missing_file_says_its_path()
    {
        StorageException fault = Assert.Throws<StorageException>(
            () => FileBlockDevice.Open(_folder.File("nowhere"), readOnly: true));

        Assert.Equal(FaultKind.Missing, fault.Kind);
        Assert.Equal(FaultClass.NeedsOperator, fault.Class);
        Assert.Contains(_folder.File("nowhere"), fault.Message, StringComparison.Ordinal);
    }
}
