using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Target.Runs;

/// <summary>
/// The folder of an export: new or empty. Until all images are whole an empty file stands in it whose name says of what export
/// they are; so the same export, begun again after its agent was killed, knows what it left and writes it anew.
/// </summary>
internal sealed class ExportFolder
{
    private static readonly string[] Formats = ["raw", "qcow2"];

    private readonly IImageTool _images;
    private readonly string _folder;
    private readonly string _format;
    private readonly string _mark;
    private readonly bool _isMarked;
    private readonly List<string> _written = [];

    private ExportFolder(IImageTool images, string folder, string format, string mark, bool isMarked)
    {
        _images = images;
        _folder = folder;
        _format = format;
        _mark = mark;
        _isMarked = isMarked;
    }

    /// <param name="what">Of a point or branch, the same each time it is asked for.</param>
    /// <exception cref="RefusedException">Another format, or a folder with something of somebody else's in it.</exception>
    public static async ValueTask<ExportFolder> OpenAsync(IImageTool images, string folder, string format, string what, CancellationToken cancellationToken)
    {
        if (!Formats.Contains(format))
        {
            throw new RefusedException(RefusalCode.Definition, $"A point cannot be exported as '{format}'.", $"Use one of {string.Join(", ", Formats)}.");
        }

        string mark = $"{folder}/unfinished-{what.Replace(':', '.')}-{format}";
        IReadOnlyList<string> present = await images.ListAsync(folder, cancellationToken);
        bool isOurs = present.Contains(mark);
        return isOurs || present.Count == 0
            ? new ExportFolder(images, folder, format, mark, isOurs)
            : throw new RefusedException(RefusalCode.Exists, $"The folder {folder} is not empty.", "Name a new or empty folder.");
    }

    /// <summary>Has each disk written as <c>folder/vda.qcow2</c> (or <c>.raw</c>). When it fails or is cancelled nothing of it stays.</summary>
    /// <param name="write">Is told the path, where nothing is.</param>
    public async ValueTask<IReadOnlyList<string>> WriteAsync<TDisk>(
        IEnumerable<TDisk> disks, Func<TDisk, string> nameOf, Func<TDisk, string, ValueTask> write, CancellationToken cancellationToken)
    {
        try
        {
            if (!_isMarked)
            {
                await _images.CreateAsync(_mark, "raw", 0, cancellationToken);
            }

            foreach (TDisk disk in disks)
            {
                string file = $"{_folder}/{nameOf(disk)}.{_format}";
                await _images.DeleteAsync(file, cancellationToken);
                await write(disk, file);
                _written.Add(file);
            }
        }
        catch (Exception reason) when (reason is UnderstudyException or OperationCanceledException)
        {
            await ClearAsync();
            throw;
        }

        await _images.DeleteAsync(_mark, CancellationToken.None);
        return _written;
    }

    /// <summary>The mark goes last: what is left when this fails is still known as ours.</summary>
    private async ValueTask ClearAsync()
    {
        try
        {
            foreach (string file in (IEnumerable<string>)[.. _written, _mark])
            {
                await _images.DeleteAsync(file, CancellationToken.None);
            }
        }
        catch (UnderstudyException)
        {
            // The first fault is the one to hear of; the same export begins where this one left the folder.
        }
    }
}
