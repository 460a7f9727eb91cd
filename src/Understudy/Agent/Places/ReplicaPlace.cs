using System.Text.Json;
using System.Text.Json.Serialization;
using Understudy.Api.Registration;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Agent.Places;

/// <summary>
/// A replica that was put into a storage pool: <c>place.json</c> in its folder among the agent's own says where. It is durable
/// before the first thing is made in the pool and goes after the last thing there. The pool carries a mark: one that is not
/// mounted, or another disk in its place, is never taken for a replica that is not there.
/// </summary>
/// <param name="Pool">Its name, for people.</param>
/// <param name="Path">Its folder.</param>
/// <param name="Mark">What stands in the pool's mark.</param>
/// <param name="Source">The only agent that may send to it.</param>
internal sealed record ReplicaPlace(string Pool, string Path, Guid Mark, Guid Vm, Guid Replica, Guid Source, string VmName)
{
    private const string FileName = "place.json";
    private const int MaxBytes = 64 * 1024;

    /// <summary>Laid out as the agent's own folder of replicas, so that an export reads it where it is.</summary>
    [JsonIgnore]
    public string DataFolder => System.IO.Path.Combine(PoolMark.ReplicasOf(Path), new VmId(Vm).ToString());

    public static bool Stands(string folder) => File.Exists(System.IO.Path.Combine(folder, FileName));

    /// <summary>Null for a replica in the agent's own folders.</summary>
    /// <exception cref="Blocks.StorageException">It stands and cannot be read.</exception>
    public static ReplicaPlace? TryRead(string folder)
    {
        string path = System.IO.Path.Combine(folder, FileName);
        try
        {
            FileInfo file = new(path);
            return !file.Exists ? null
                : file.Length > MaxBytes ? throw Unreadable(path, $"it is {file.Length} bytes long", null)
                : JsonSerializer.Deserialize(File.ReadAllBytes(path), AgentJson.Default.ReplicaPlace) ?? throw Unreadable(path, "it is empty", null);
        }
        catch (Exception fault) when (fault is JsonException or IOException or UnauthorizedAccessException)
        {
            throw Unreadable(path, fault.Message, fault);
        }
    }

    public async ValueTask WriteAsync(string folder, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        await PrivateFile.ReplaceAsync(new FolderStore(folder), FileName, JsonSerializer.SerializeToUtf8Bytes(this, AgentJson.Default.ReplicaPlace), cancellationToken);
        await new FolderStore(System.IO.Path.GetDirectoryName(folder)!).FlushFolderAsync("", cancellationToken); // below the agent's own folder
    }

    /// <summary>Also what a death in the middle of writing it left.</summary>
    public static void Delete(string folder)
    {
        if (Directory.Exists(folder))
        {
            File.Delete(System.IO.Path.Combine(folder, FileName));
            File.Delete(System.IO.Path.Combine(folder, FileName + ".new"));
        }
    }

    public async Task<bool> IsThereAsync() => await WhyNotThereAsync() is null;

    /// <exception cref="ErrorException">The pool is not there.</exception>
    public async Task RequireThereAsync()
    {
        if (await WhyNotThereAsync() is { } why)
        {
            throw new ErrorException(Errors.ReplicaUnavailable(
                VmName,
                $"it is in storage pool {Pool}, and {why}",
                $"Mount it there (`{Typed.Line("virsh pool-start", Pool)}`); the replica is opened by itself then, with all its points. Nothing is cleaned up or begun anew meanwhile. "
                    + $"If that pool is gone for good: {Typed.Command("local forget", VmName)} on that host gives the replica up."));
        }
    }

    private async Task<string?> WhyNotThereAsync()
    {
        try
        {
            return await PoolMark.ReadAsync(Path) is not { } found ? $"nothing of that is in {Path}: it is not mounted"
                : found != Mark ? $"what is mounted at {Path} is another disk"
                : null;
        }
        catch (Blocks.StorageException unreadable)
        {
            return $"its mark cannot be read: {unreadable.Message}";
        }
    }

    private static Blocks.StorageException Unreadable(string path, string why, Exception? cause) =>
        new(Blocks.FaultKind.Corrupt, path, why, "It names the storage pool that has the replica; docs/formats/run-state.md has its form.", cause);
}
