using System.Text;
using Understudy.Blocks;
using Understudy.Blocks.Storage;

namespace Understudy.Testing.Contracts;

/// <summary>What every <see cref="IFileStore"/> must do; inherit, and say how to open an empty one.</summary>
public abstract class FileStoreContract
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Written_bytes_read_back_and_the_end_of_the_file_cuts_a_read_short()
    {
        IFileStore store = await OpenEmptyAsync();
        await using IStoreFile file = await store.OpenAsync("a", FileOpen.New, Token);
        await file.WriteAsync(3, Bytes("hello"), Token);
        await file.FlushAsync(Token);
        byte[] buffer = new byte[16];

        Assert.Equal(8, file.LengthBytes);
        Assert.Equal(8, await file.ReadAsync(0, buffer, Token));
        Assert.Equal("\0\0\0hello", Encoding.UTF8.GetString(buffer, 0, 8));
        Assert.Equal(2, await file.ReadAsync(6, buffer, Token));
        Assert.Equal(0, await file.ReadAsync(100, buffer, Token));
    }

    [Fact]
    public async Task Length_can_be_cut_and_grown_and_what_was_cut_is_zero_afterwards()
    {
        IFileStore store = await OpenEmptyAsync();
        await using IStoreFile file = await store.OpenAsync("a", FileOpen.New, Token);
        await file.WriteAsync(0, Bytes("hello"), Token);
        await file.SetLengthAsync(2, Token);
        await file.SetLengthAsync(5, Token);
        byte[] buffer = new byte[5];

        Assert.Equal(5, await file.ReadAsync(0, buffer, Token));
        Assert.Equal("he\0\0\0", Encoding.UTF8.GetString(buffer));
    }

    [Theory]
    [InlineData(FileOpen.Read, false, FaultKind.Missing)]
    [InlineData(FileOpen.Existing, false, FaultKind.Missing)]
    [InlineData(FileOpen.New, true, FaultKind.Exists)]
    [InlineData(FileOpen.Read, true, null)]
    [InlineData(FileOpen.Existing, true, null)]
    [InlineData(FileOpen.New, false, null)]
    [InlineData(FileOpen.OpenOrCreate, true, null)]
    [InlineData(FileOpen.OpenOrCreate, false, null)]
    public async Task Open_modes_keep_their_word(FileOpen mode, bool exists, FaultKind? expected)
    {
        IFileStore store = await OpenEmptyAsync();
        if (exists)
        {
            await WriteAllAsync(store, "a", "old");
        }

        FaultKind? seen = null;
        try
        {
            await using IStoreFile file = await store.OpenAsync("a", mode, Token);
            Assert.Equal(exists ? 3 : 0, file.LengthBytes);
        }
        catch (StorageException fault)
        {
            seen = fault.Kind;
        }

        Assert.Equal(expected, seen);
    }

    [Fact]
    public async Task File_opened_for_reading_refuses_a_write()
    {
        IFileStore store = await OpenEmptyAsync();
        await WriteAllAsync(store, "a", "old");
        await using IStoreFile file = await store.OpenAsync("a", FileOpen.Read, Token);

        await Assert.ThrowsAsync<StorageException>(async () => await file.WriteAsync(0, Bytes("new"), Token));

        Assert.Equal("old", await ReadAllAsync(store, "a"));
    }

    [Fact]
    public async Task Rename_replaces_and_an_open_handle_keeps_the_old_content()
    {
        IFileStore store = await OpenEmptyAsync();
        await WriteAllAsync(store, "a", "old");
        await WriteAllAsync(store, "b", "new");
        await using IStoreFile old = await store.OpenAsync("a", FileOpen.Read, Token);

        await store.RenameAsync("b", "a", Token);

        byte[] buffer = new byte[3];
        Assert.Equal(3, await old.ReadAsync(0, buffer, Token));
        Assert.Equal("old", Encoding.UTF8.GetString(buffer));
        Assert.Equal("new", await ReadAllAsync(store, "a"));
        Assert.Equal(["a"], (await store.ListAsync("", Token)).Select(entry => entry.Name));
        StorageException fault = await Assert.ThrowsAsync<StorageException>(async () => await store.RenameAsync("b", "c", Token));
        Assert.Equal(FaultKind.Missing, fault.Kind);
    }

    [Fact]
    public async Task Deleted_file_is_gone_and_deleting_it_again_is_no_error()
    {
        IFileStore store = await OpenEmptyAsync();
        await WriteAllAsync(store, "a", "old");

        await store.DeleteAsync("a", Token);
        await store.DeleteAsync("a", Token);

        Assert.Empty(await store.ListAsync("", Token));
    }

    [Fact]
    public async Task Folders_list_their_own_files_in_ordinal_order_with_lengths()
    {
        IFileStore store = await OpenEmptyAsync();
        await store.CreateFolderAsync("journal/deep", Token);
        await store.CreateFolderAsync("journal", Token);
        foreach (string name in (string[])["journal/b", "journal/B", "journal/a10", "journal/a9", "journal/deep/c", "root"])
        {
            await WriteAllAsync(store, name, name);
        }

        await store.FlushFolderAsync("journal", Token);
        await store.FlushFolderAsync("", Token);

        Assert.Equal(
            ["journal/B", "journal/a10", "journal/a9", "journal/b"],
            (await store.ListAsync("journal", Token)).Select(entry => entry.Name));
        Assert.Equal([new StoreEntry("root", 4)], await store.ListAsync("", Token));
        Assert.Empty(await store.ListAsync("missing", Token));
    }

    [Fact]
    public async Task File_in_a_missing_folder_is_missing()
    {
        IFileStore store = await OpenEmptyAsync();

        StorageException fault = await Assert.ThrowsAsync<StorageException>(
            async () => await store.OpenAsync("nowhere/a", FileOpen.New, Token));

        Assert.Equal(FaultKind.Missing, fault.Kind);
    }

    [Theory]
    [InlineData("../a")]
    [InlineData("/etc/passwd")]
    [InlineData("a/../../b")]
    [InlineData("a//b")]
    [InlineData("a/.")]
    [InlineData("a/")]
    [InlineData("a\\b")]
    [InlineData("a\0b")]
    [InlineData("")]
    public async Task Names_that_lead_out_of_the_store_are_refused(string name)
    {
        IFileStore store = await OpenEmptyAsync();

        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await store.OpenAsync(name, FileOpen.OpenOrCreate, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await store.DeleteAsync(name, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await store.RenameAsync(name, "x", Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await store.RenameAsync("x", name, Token));
    }

    [Fact]
    public async Task Closed_file_refuses()
    {
        IFileStore store = await OpenEmptyAsync();
        IStoreFile file = await store.OpenAsync("a", FileOpen.New, Token);
        await file.DisposeAsync();

        StorageException read = await Assert.ThrowsAsync<StorageException>(async () => await file.ReadAsync(0, new byte[1], Token));
        StorageException flush = await Assert.ThrowsAsync<StorageException>(async () => await file.FlushAsync(Token));

        Assert.Equal((FaultKind.Closed, FaultKind.Closed), (read.Kind, flush.Kind));
    }

    [Fact]
    public async Task Free_space_is_told()
    {
        IFileStore store = await OpenEmptyAsync();

        Assert.True(await store.GetFreeBytesAsync(Token) > 0);
    }

    protected abstract ValueTask<IFileStore> OpenEmptyAsync();

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static async Task WriteAllAsync(IFileStore store, string name, string text)
    {
        await using IStoreFile file = await store.OpenAsync(name, FileOpen.New, Token);
        await file.WriteAsync(0, Bytes(text), Token);
        await file.FlushAsync(Token);
    }

    private static async Task<string> ReadAllAsync(IFileStore store, string name)
    {
        await using IStoreFile file = await store.OpenAsync(name, FileOpen.Read, Token);
        byte[] all = new byte[file.LengthBytes];
        Assert.Equal(all.Length, await file.ReadAsync(0, all, Token));
        return Encoding.UTF8.GetString(all);
    }
}
