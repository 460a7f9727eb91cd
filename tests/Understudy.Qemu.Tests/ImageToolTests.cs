using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Qemu.Tests;

public sealed class ImageToolTests : IAsyncDisposable
{
    private readonly QemuFolder _folder = new();

    public ValueTask DisposeAsync() => _folder.DisposeAsync();

    [Fact]
    public async Task A_bitmap_added_before_the_first_write_is_enabled_and_consistent_and_can_go_again()
    {
        string image = _folder.At("pool/a.qcow2");
        await _folder.Images.CreateAsync(image, "qcow2", 1 << 20, CancellationToken.None);
        await _folder.Images.AddBitmapAsync(image, "understudy-1", CancellationToken.None);
        await _folder.Images.AddBitmapAsync(image, "understudy-1", CancellationToken.None);
        ImageFacts? facts = await _folder.Images.FindAsync(image, CancellationToken.None);
        Assert.Equal("qcow2", facts?.Format);
        Assert.Equal(1 << 20, facts?.SizeBytes);
        Assert.Equal([new ImageBitmap("understudy-1", Enabled: true, Consistent: true)], facts?.Bitmaps);
        await _folder.Images.RemoveBitmapAsync(image, "understudy-1", CancellationToken.None);
        await _folder.Images.RemoveBitmapAsync(image, "understudy-1", CancellationToken.None);
        Assert.Empty((await _folder.Images.FindAsync(image, CancellationToken.None))!.Bitmaps);
    }

    /// <summary>Who deletes a file asks first whether another VM has it by another name.</summary>
    [Fact]
    public async Task A_path_is_followed_through_links_among_its_folders_and_a_ring_of_links_ends()
    {
        string image = _folder.At("pool/a.qcow2");
        await _folder.Images.CreateAsync(image, "qcow2", 1 << 20, CancellationToken.None);
        Directory.CreateSymbolicLink(_folder.At("linked"), Path.GetDirectoryName(image)!); // has one
        File.CreateSymbolicLink(_folder.At("pool/b.qcow2"), "a.qcow2");
        File.CreateSymbolicLink(_folder.At("ring"), _folder.At("ring"));
        string real = await _folder.Images.FollowAsync(image, CancellationToken.None);

        Assert.Equal(real, await _folder.Images.FollowAsync(_folder.At("linked/a.qcow2"), CancellationToken.None));
        Assert.Equal(real, await _folder.Images.FollowAsync(_folder.At("linked/../pool/./b.qcow2"), CancellationToken.None));
        Assert.EndsWith("/missing/x", await _folder.Images.FollowAsync(_folder.At("missing/x"), CancellationToken.None), StringComparison.Ordinal);
        Assert.NotEmpty(await _folder.Images.FollowAsync(_folder.At("ring"), CancellationToken.None));
    }

    [Fact]
    public async Task An_existing_file_is_never_overwritten()
    {
        string image = _folder.At("a.qcow2");
        await _folder.Images.CreateAsync(image, "qcow2", 1 << 20, CancellationToken.None);
        StorageException refused = await Assert.ThrowsAsync<StorageException>(async () => await _folder.Images.CreateAsync(image, "qcow2", 2 << 20, CancellationToken.None));
        Assert.Equal(FaultKind.Exists, refused.Kind);
        Assert.Equal(1 << 20, (await _folder.Images.FindAsync(image, CancellationToken.None))?.SizeBytes);
    }

    [Theory]
    [InlineData("qcow2")]
    [InlineData("raw")]
    public async Task An_export_is_copied_to_an_image_of_its_own(string format)
    {
        string image = _folder.At("a.qcow2");
        await _folder.Images.CreateAsync(image, "qcow2", 4 << 20, CancellationToken.None);
        await QemuFolder.Run("qemu-io", "-c", "write -P 3 1M 192k", image);
        StorageDaemonSpec spec = new("point", _folder.At("p.sock"), ForGuests: false, [new StorageExport("1-ab.7.0", new StorageBacking.Image(image, "qcow2"), Writable: false)]);
        await _folder.Daemons.EnsureAsync(spec, CancellationToken.None);
        await _folder.Images.ConvertFromNbdAsync(_folder.At("p.sock"), "1-ab.7.0", _folder.At("out"), format, CancellationToken.None);
        Assert.Contains("Images are identical", await QemuFolder.Run("qemu-img", "compare", "-U", "-F", format, image, _folder.At("out")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_that_cannot_be_made_is_named()
    {
        StorageException refused = await Assert.ThrowsAsync<StorageException>(
            async () => await _folder.Images.CreateAsync("/proc/understudy/a.qcow2", "qcow2", 1 << 20, CancellationToken.None));
        Assert.Equal((FaultKind.Denied, "/proc/understudy"), (refused.Kind, refused.Subject));
    }

    [Fact]
    public async Task A_copy_that_fails_leaves_no_file()
    {
        await Assert.ThrowsAsync<ImageToolException>(async () => await _folder.Images.ConvertFromNbdAsync(_folder.At("nobody.sock"), "x", _folder.At("out"), "raw", CancellationToken.None));
        Assert.False(File.Exists(_folder.At("out")));
        Assert.False(File.Exists(_folder.At("out.partial")));
    }
}
