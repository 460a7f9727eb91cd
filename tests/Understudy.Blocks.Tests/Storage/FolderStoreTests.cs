using Understudy.Blocks.Storage;

namespace Understudy.Blocks.Tests.Storage;

public sealed class FolderStoreTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Missing_root_is_not_created()
    {
        StorageException fault = Assert.Throws<StorageException>(() => new FolderStore(_folder.File("unmounted")));

        Assert.Equal(FaultKind.Missing, fault.Kind);
        Assert.False(Directory.Exists(_folder.File("unmounted")));
    }

    [Fact]
    public async Task Full_file_system_says_full()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "needs /dev/full");
        File.CreateSymbolicLink(_folder.File("full"), "/dev/full");
        FolderStore store = new(_folder.Path);
        await using IStoreFile file = await store.OpenAsync("full", FileOpen.Existing, Token);

        StorageException fault = await Assert.ThrowsAsync<StorageException>(
            async () => await file.WriteAsync(0, new byte[4096], Token));

        Assert.Equal(FaultKind.Full, fault.Kind);
        Assert.NotNull(fault.Remedy);
    }

    [Fact]
    public async Task File_is_dead_after_a_failed_flush()
    {
        // A character device that cannot be flushed stands in for a disk whose flush fails.
        File.CreateSymbolicLink(_folder.File("null"), "/dev/null");
        FolderStore store = new(_folder.Path);
        await using IStoreFile file = await store.OpenAsync("null", FileOpen.Existing, Token);

        StorageException first = await Assert.ThrowsAsync<StorageException>(async () => await file.FlushAsync(Token));
        StorageException write = await Assert.ThrowsAsync<StorageException>(
            async () => await file.WriteAsync(0, new byte[1], Token));
        StorageException second = await Assert.ThrowsAsync<StorageException>(async () => await file.FlushAsync(Token));

        Assert.All([first, write, second], fault => Assert.Equal(FaultKind.FlushFailed, fault.Kind));
        Assert.Contains("open the file again", second.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Files_and_folders_are_for_their_owner_only()
    {
        FolderStore store = new(_folder.Path);
        await store.CreateFolderAsync("journal", Token);
        await using IStoreFile file = await store.OpenAsync("journal/a", FileOpen.New, Token);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder.File("journal/a")));
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
            File.GetUnixFileMode(_folder.File("journal")));
    }
}
