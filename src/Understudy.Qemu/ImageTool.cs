using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Qemu.Native;
using Understudy.Qemu.Processes;

namespace Understudy.Qemu;

/// <summary>Images through qemu-img.</summary>
public sealed class ImageTool : IImageTool
{
    /// <summary>As many as the system follows (path_resolution(7)); a ring of links ends here.</summary>
    private const int MostLinks = 40;

    /// <summary>Copying a whole disk is bounded by the caller's token, not by a clock.</summary>
    private static readonly TimeSpan NoLimit = TimeSpan.FromDays(20);

    private readonly QemuSettings _settings;

    public ImageTool(QemuSettings settings) => _settings = settings;

    public async ValueTask CreateAsync(string path, string format, long sizeBytes, CancellationToken cancellationToken)
    {
        PrepareNew(path);
        MakePrivate(path);
        await RunAsync(
            ["create", "-q", "-f", format, path, sizeBytes.ToString(CultureInfo.InvariantCulture)],
            $"{path} could not be made", _settings.CommandLimit, cancellationToken);
        MakeDurable(path);
    }

    public async ValueTask GrowAsync(string path, string format, long sizeBytes, CancellationToken cancellationToken)
    {
        await RunAsync(
            ["resize", "-q", "-f", format, path, sizeBytes.ToString(CultureInfo.InvariantCulture)],
            $"{path} could not be made longer", _settings.CommandLimit, cancellationToken);
        MakeDurable(path);
    }

    public async ValueTask CreateOverlayAsync(string path, ImageBacking backing, OverlayShape? shape, CancellationToken cancellationToken)
    {
        PrepareNew(path);
        MakePrivate(path);
        (string file, string format) = backing switch
        {
            ImageBacking.Nbd server => ($"nbd+unix:///{Uri.EscapeDataString(server.ExportName)}?socket={server.SocketPath}", "raw"),
            ImageBacking.File image => (image.Path, image.Format),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
        string[] size = shape is null
            ? [path]
            : ["-u", "-o", string.Create(CultureInfo.InvariantCulture, $"cluster_size={shape.ClusterBytes}"), path, shape.SizeBytes.ToString(CultureInfo.InvariantCulture)];
        await RunAsync(["create", "-q", "-f", "qcow2", "-F", format, "-b", file, .. size], $"The overlay {path} could not be made", _settings.CommandLimit, cancellationToken);
    }

    public async ValueTask AddBitmapAsync(string path, string bitmap, CancellationToken cancellationToken)
    {
        if ((await FindAsync(path, cancellationToken))?.Bitmaps.Any(existing => existing.Name == bitmap) != true)
        {
            await RunAsync(
                ["bitmap", "--add", "-g", BlockSize.Bytes.ToString(CultureInfo.InvariantCulture), path, bitmap],
                $"Change tracking could not be added to {path}", _settings.CommandLimit, cancellationToken);
        }
    }

    public async ValueTask RemoveBitmapAsync(string path, string bitmap, CancellationToken cancellationToken)
    {
        if ((await FindAsync(path, cancellationToken))?.Bitmaps.Any(existing => existing.Name == bitmap) == true)
        {
            await RunAsync(["bitmap", "--remove", path, bitmap], $"Change tracking could not be removed from {path}", _settings.CommandLimit, cancellationToken);
        }
    }

    public async ValueTask<ImageFacts?> FindAsync(string path, CancellationToken cancellationToken)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        return Facts(await RunAsync(["info", "--force-share", "--output=json", path], $"{path} cannot be read", _settings.CommandLimit, cancellationToken));
    }

    /// <summary>Whether a program has it open for writing, by QEMU's own locks.</summary>
    public async ValueTask<bool> IsWrittenAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            await RunAsync(["info", "--output=json", path], $"{path} cannot be read", _settings.CommandLimit, cancellationToken);
            return false;
        }
        catch (ImageToolException locked) when (locked is { Class: FaultClass.Transient, Remedy: not null }) // A tool that is late has none.
        {
            return true;
        }
    }

    private static ImageFacts Facts(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        JsonElement root = document.RootElement;
        return new ImageFacts(
            root.GetProperty("format").GetString() ?? "raw",
            root.GetProperty("virtual-size").GetInt64(),
            root.GetProperty("actual-size").GetInt64(),
            root.TryGetProperty("backing-filename", out JsonElement backing) ? backing.GetString() : null,
            ReadBitmaps(root));
    }

    public async ValueTask ConvertFromNbdAsync(string socketPath, string exportName, string path, string format, CancellationToken cancellationToken)
    {
        string source = "json:" + new JsonObject
        {
            ["driver"] = "raw",
            ["file"] = new JsonObject
            {
                ["driver"] = "nbd",
                ["server"] = new JsonObject { ["type"] = "unix", ["path"] = socketPath },
                ["export"] = exportName,
            },
        }.ToJsonString();
        await ConvertAsync([source], path, format, cancellationToken);
    }

    public ValueTask ConvertFromFileAsync(string source, string sourceFormat, string path, string format, CancellationToken cancellationToken) =>
        ConvertAsync(["-f", sourceFormat, source], path, format, cancellationToken);

    private async ValueTask ConvertAsync(IReadOnlyList<string> source, string path, string format, CancellationToken cancellationToken)
    {
        PrepareNew(path);
        string partial = path + ".partial";
        File.Delete(partial); // The tool of a killed agent may still write there: to a file without a name from now on.
        MakePrivate(partial);
        try
        {
            // qemu-img's default cache mode for output would never flush.
            await RunAsync(["convert", "-q", "-t", "writeback", "-O", format, .. source, partial], $"{path} could not be written", NoLimit, cancellationToken);
            File.Move(partial, path);
            MakeDurable(path);
        }
        catch
        {
            File.Delete(partial);
            throw;
        }
    }

    public ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        if (Directory.Exists(Path.GetDirectoryName(path)))
        {
            File.Delete(path);
        }

        return default;
    }

    public ValueTask<string> FollowAsync(string path, CancellationToken cancellationToken) => new(Follow(Path.GetFullPath(path), MostLinks));

    /// <summary>Links among the folders above count as much as one at the end.</summary>
    private static string Follow(string path, int linksLeft)
    {
        if (Path.GetDirectoryName(path) is not { } folder)
        {
            return path;
        }

        string parent = Follow(folder, linksLeft);
        string at = Path.Combine(parent, Path.GetFileName(path));
        return linksLeft > 0 && new FileInfo(at).LinkTarget is { } target ? Follow(Path.GetFullPath(target, parent), linksLeft - 1) : at;
    }

    public ValueTask<IReadOnlyList<string>> ListAsync(string folder, CancellationToken cancellationToken) =>
        new(Directory.Exists(folder) ? [.. Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal)] : []);

    public ValueTask DeleteFolderIfEmptyAsync(string folder, CancellationToken cancellationToken)
    {
        if (Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any())
        {
            Directory.Delete(folder);
        }

        return default;
    }

    public ValueTask<long> GetFreeBytesAsync(string folder, CancellationToken cancellationToken)
    {
        string? existing = folder;
        while (existing is not null && !Directory.Exists(existing))
        {
            existing = Path.GetDirectoryName(existing);
        }

        return new(new DriveInfo(existing ?? "/").AvailableFreeSpace);
    }

    public ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken)
    {
        CreateFolder(folder);
        return default;
    }

    private static void CreateFolder(string folder)
    {
        if (!Directory.Exists(folder))
        {
            Directory.CreateDirectory(
                folder,
                UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        }
    }

    private static void MakeDurable(string path)
    {
        PosixCalls.FlushPath(path);
        PosixCalls.FlushPath(Path.GetDirectoryName(path) ?? "/");
    }

    private static void PrepareNew(string path)
    {
        string folder = Path.GetDirectoryName(path) ?? "/";
        try
        {
            CreateFolder(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException(FaultKind.Denied, folder, $"the folder cannot be made: {e.Message}", "Name a folder that can be made.", e);
        }

        if (File.Exists(path))
        {
            throw new StorageException(FaultKind.Exists, path, "a file of that name is there already", "Choose another name, or remove it.");
        }
    }

    /// <summary>qemu-img keeps the mode of a file it finds: what is in it is a VM's disk, and nobody else's to read.</summary>
    private static void MakePrivate(string path) => new FileStream(path, new FileStreamOptions
    {
        Mode = FileMode.Create,
        Access = FileAccess.Write,
        UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    }).Dispose();

    private static ImageBitmap[] ReadBitmaps(JsonElement root)
    {
        if (!root.TryGetProperty("format-specific", out JsonElement specific)
            || !specific.GetProperty("data").TryGetProperty("bitmaps", out JsonElement bitmaps))
        {
            return [];
        }

        return
        [
            .. bitmaps.EnumerateArray().Select(bitmap =>
            {
                string?[] flags = [.. bitmap.GetProperty("flags").EnumerateArray().Select(flag => flag.GetString())];
                return new ImageBitmap(bitmap.GetProperty("name").GetString() ?? "", flags.Contains("auto"), !flags.Contains("in-use"));
            }),
        ];
    }

    private ValueTask<string> RunAsync(IReadOnlyList<string> arguments, string what, TimeSpan limit, CancellationToken cancellationToken) =>
        ToolRunner.RequireAsync([_settings.ImageProgram, .. arguments], what, limit, cancellationToken);
}
