using System.Collections.Concurrent;
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

    /// <summary>A share whose server is gone answers nothing, for ever, and must not keep the agent with it.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private static readonly ConcurrentDictionary<string, Task<Guid?>> _reading = new(StringComparer.Ordinal);

    /// <summary>Null when it is not there.</summary>
    /// <exception cref="Blocks.StorageException">It stands and cannot be read, or nothing in the pool answers: nothing in it can be
    /// trusted then.</exception>
    public static async Task<Guid?> ReadAsync(string pool)
    {
        Task<Guid?> reading = _reading.GetOrAdd(pool, path => Task.Factory.StartNew(() => Read(path), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)); // one thread at most hangs with the pool
        try
        {
            Guid? mark = await reading.WaitAsync(Patience);
            _reading.TryRemove(KeyValuePair.Create(pool, reading));
            return mark;
        }
        catch (TimeoutException)
        {
            throw new Blocks.StorageException(Blocks.FaultKind.Io, pool, $"the file system there has not answered for {Patience.TotalSeconds:0} s", "See that its server and its network work.");
        }
        catch
        {
            _reading.TryRemove(KeyValuePair.Create(pool, reading));
            throw;
        }
    }

    private static Guid? Read(string pool)
    {
        string path = Path.Combine(FolderOf(pool), FileName);
        try
        {
            FileInfo file = new(path);
            return !file.Exists ? null
                : file.Length <= MaxBytes && JsonSerializer.Deserialize(File.ReadAllBytes(path), AgentJson.Default.PoolMark) is { } mark ? mark.Mark
                : throw new JsonException($"{file.Length} bytes are no mark of a pool");
        }
        catch (Exception fault) when (fault is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new Blocks.StorageException(
                fault is JsonException ? Blocks.FaultKind.Corrupt : Blocks.FaultKind.Io, path, fault.Message, "It tells the pool that is mounted from an empty mount point; see that the pool's disk is whole.", fault);
        }
    }

    /// <summary>Makes the pool ours to use: its mark, unless it has it, and the folders. Durable when it returns.</summary>
    public static async ValueTask EnsureAsync(string pool, Guid mark, CancellationToken cancellationToken)
    {
        foreach (string folder in (string[])[FolderOf(pool), ImagesOf(pool)])
        {
            Directory.CreateDirectory(folder);
            File.SetUnixFileMode(folder, Walkable);
        }

        Directory.CreateDirectory(ReplicasOf(pool), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (await ReadAsync(pool) is null)
        {
            byte[] content = JsonSerializer.SerializeToUtf8Bytes(new PoolMark(mark), AgentJson.Default.PoolMark);
            await PrivateFile.ReplaceAsync(new FolderStore(FolderOf(pool)), FileName, content, cancellationToken);
        }

        await new FolderStore(FolderOf(pool)).FlushFolderAsync("", cancellationToken);
        await new FolderStore(pool).FlushFolderAsync("", cancellationToken);
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
