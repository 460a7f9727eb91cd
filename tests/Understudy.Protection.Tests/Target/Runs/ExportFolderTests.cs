using Understudy.Blocks;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Tests.Target.World;

namespace Understudy.Protection.Tests.Target.Runs;

public sealed class ExportFolderTests
{
    private const string Folder = "/srv/out";
    private const string Point = "1-b1aa:904";

    private readonly ModelHost _host = new();
    private readonly ModelImageTool _images;

    public ExportFolderTests() => _images = new ModelImageTool(_host, new ModelSockets(_host));

    [Fact]
    public async Task An_export_whose_agent_was_killed_is_written_anew_when_it_is_begun_again()
    {
        await Assert.ThrowsAsync<KilledException>(async () => await ExportAsync(Point, disk => disk == "vdb" ? throw new KilledException() : default));
        Assert.Equal([$"{Folder}/unfinished-1-b1aa.904-raw", $"{Folder}/vda.raw"], await FilesAsync());

        IReadOnlyList<string> files = await ExportAsync(Point);

        Assert.Equal([$"{Folder}/vda.raw", $"{Folder}/vdb.raw"], files);
        Assert.Equal(files, await FilesAsync());
    }

    [Fact]
    public async Task An_export_that_fails_or_is_cancelled_leaves_nothing()
    {
        await Assert.ThrowsAsync<StorageException>(async () => await ExportAsync(
            Point, disk => disk == "vdb" ? throw new StorageException(FaultKind.Full, Folder, "no space left") : default));
        Assert.Empty(await FilesAsync());

        await Assert.ThrowsAsync<OperationCanceledException>(async () => await ExportAsync(Point, disk => disk == "vdb" ? throw new OperationCanceledException() : default));
        Assert.Empty(await FilesAsync());
    }

    [Fact]
    public async Task A_folder_with_anything_else_in_it_is_refused_and_stays_as_it_is()
    {
        await Assert.ThrowsAsync<KilledException>(async () => await ExportAsync(Point, _ => throw new KilledException()));
        IReadOnlyList<string> left = await FilesAsync();

        Assert.Equal(RefusalCode.Exists, (await Assert.ThrowsAsync<RefusedException>(async () => await ExportAsync("1-b1aa:905"))).Code);

        Assert.Equal(left, await FilesAsync());
    }

    private async Task<IReadOnlyList<string>> ExportAsync(string what, Func<string, ValueTask>? before = null)
    {
        ExportFolder folder = await ExportFolder.OpenAsync(_images, Folder, "raw", what, default);
        return await folder.WriteAsync(["vda", "vdb"], disk => disk, WriteAsync, default);

        async ValueTask WriteAsync(string disk, string file)
        {
            await (before?.Invoke(disk) ?? default);
            await _images.CreateAsync(file, "raw", 4096, default);
        }
    }

    private async Task<IReadOnlyList<string>> FilesAsync() => [.. (await _images.ListAsync(Folder, default)).Order(StringComparer.Ordinal)];

    /// <summary>The process is no more: nothing of it clears up.</summary>
    private sealed class KilledException : Exception;
}
