using System.Text.Json;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;

namespace Understudy.Agent.Places;

/// <summary>
/// What tells a pool that is mounted from an empty mount point: <c>understudy/pool.json</c> in it, beside the folders of its
/// replicas and their disks.
/// </summary>
internal sealed record PoolMark(Guid Mark)
{
    private const string FileName = "pool.json";
    private const int MaxBytes = 4096;

    /// <summary>QEMU runs as another user: it must be able to walk to the images, not to list them.</summary>
    private const UnixFileMode Walkable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    public static string ReplicasOf(string pool) => Path.Combine(FolderOf(pool), "replicas");

    public static string ImagesOf(string pool) => Path.Combine(FolderOf(pool), "images");

    /// <summary>Null when it is not there, or cannot be read: then nothing in the pool can be trusted either.</summary>
    public static Guid? TryRead(string pool)
    {
        try
        {
            FileInfo file = new(Path.Combine(FolderOf(pool), FileName));
            return file.Exists && file.Length <= MaxBytes ? JsonSerializer.Deserialize(File.ReadAllBytes(file.FullName), AgentJson.Default.PoolMark)?.Mark : null;
        }
        catch (Exception fault) when (fault is JsonException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Makes the pool ours to use: its mark, new or as it stands, and the folders. Durable when it returns.</summary>
    public static async ValueTask<Guid> EnsureAsync(string pool, Guid fresh, CancellationToken cancellationToken)
    {
        foreach (string folder in (string[])[FolderOf(pool), ImagesOf(pool)])
        {
            Directory.CreateDirectory(folder);
            File.SetUnixFileMode(folder, Walkable);
        }

        Directory.CreateDirectory(ReplicasOf(pool), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (TryRead(pool) is not { } mark)
        {
            mark = fresh;
            byte[] content = JsonSerializer.SerializeToUtf8Bytes(new PoolMark(mark), AgentJson.Default.PoolMark);
            await PrivateFile.ReplaceAsync(new FolderStore(FolderOf(pool)), FileName, content, cancellationToken);
        }

        await new FolderStore(FolderOf(pool)).FlushFolderAsync("", cancellationToken);
        await new FolderStore(pool).FlushFolderAsync("", cancellationToken);
        return mark;
    }

    /// <summary>The last replica has left. Disks of VMs that stay there stay.</summary>
    public static void Remove(string pool)
    {
        foreach (string file in (string[])[FileName, FileName + ".new", Path.Combine("replicas", ReplicasLock.FileName)])
        {
            string path = Path.Combine(FolderOf(pool), file);
            if (File.Exists(path))
            {
                File.Delete(path);
            }
        }

        ReplicaFolders.RemoveEmpty(FolderOf(pool));
    }

    private static string FolderOf(string pool) => Path.Combine(pool, "understudy");
}
