using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Understudy.Blocks;
using Understudy.Blocks.Storage;

namespace Understudy.Protection.Durable;

/// <summary>
/// A small state file: one line <c>&lt;kind&gt; 1 &lt;bodyLength&gt; &lt;crc32c-hex&gt;</c>, then JSON of exactly that
/// length. Readable on the worst night, never half-believed, replaced whole. After <see cref="SaveAsync"/> returned, the
/// new content survives a power cut; when it threw, the old or the new one does.
/// </summary>
/// <param name="kind">First word of the file, such as <c>understudy-run</c>: a file in the wrong place is seen.</param>
internal sealed class DurableDocument<T>(string kind, JsonTypeInfo<T> json)
    where T : class
{
    /// <summary>A state names a VM's disks and one operation; a megabyte is hundreds of times more than it needs.</summary>
    public const int MaxBytes = 1024 * 1024;

    private const string Version = "1";
    private const int MaxHeaderBytes = 64;
    private const string NewSuffix = ".new";

    /// <summary>Null when there is none; a damaged one throws, with what is wrong. A process killed between rename and flush
    /// has left a document that a power cut could still take back: its name is made durable before anything is done on
    /// its word.</summary>
    public async ValueTask<T?> LoadAsync(IFileStore store, string name, CancellationToken cancellationToken)
    {
        IStoreFile file;
        try
        {
            file = await store.OpenAsync(name, FileOpen.Read, cancellationToken);
        }
        catch (StorageException missing) when (missing.Kind == FaultKind.Missing)
        {
            return null;
        }

        await using (file)
        {
            await store.FlushFolderAsync(FolderOf(name), cancellationToken);
            if (file.LengthBytes > MaxBytes)
            {
                throw Corrupt(name, $"it has {file.LengthBytes} bytes");
            }

            byte[] bytes = new byte[file.LengthBytes];
            int read = await file.ReadAsync(0, bytes, cancellationToken);
            return Decode(bytes.AsSpan(0, read), out string defect) ?? throw Corrupt(name, defect);
        }
    }

    /// <summary>All of a folder that holds nothing else. It is made where it is missing, and what a crash has left half
    /// written in it goes: nobody would ever write that name again.</summary>
    public async ValueTask<IReadOnlyList<T>> LoadAllAsync(IFileStore store, string folder, CancellationToken cancellationToken)
    {
        await store.CreateFolderAsync(folder, cancellationToken);
        await store.FlushFolderAsync("", cancellationToken); // A document is only as durable as its folder's own name.
        await SweepAsync(store, folder, cancellationToken);
        List<T> found = [];
        foreach (StoreEntry entry in await store.ListAsync(folder, cancellationToken))
        {
            if (await LoadAsync(store, entry.Name, cancellationToken) is { } document)
            {
                found.Add(document);
            }
        }

        return found;
    }

    /// <summary>Removes all documents of a folder, also those that nobody knows of: the write that was to begin something can have
    /// failed at its last flush, and then its file stands.</summary>
    public static async ValueTask ClearAsync(IFileStore store, string folder, CancellationToken cancellationToken)
    {
        await DeleteAllAsync(store, folder, static _ => true, cancellationToken);
        await store.FlushDeletionsAsync(folder, cancellationToken);
    }

    /// <summary>Removes what a crash, or a disk that failed, has left half written in a folder of documents. Should it come back, it
    /// is removed again.</summary>
    private static ValueTask SweepAsync(IFileStore store, string folder, CancellationToken cancellationToken) =>
        DeleteAllAsync(store, folder, static name => name.EndsWith(NewSuffix, StringComparison.Ordinal), cancellationToken);

    private static async ValueTask DeleteAllAsync(IFileStore store, string folder, Func<string, bool> isMeant, CancellationToken cancellationToken)
    {
        foreach (StoreEntry entry in await store.ListAsync(folder, cancellationToken))
        {
            if (isMeant(entry.Name))
            {
                await store.DeleteAsync(entry.Name, cancellationToken);
            }
        }
    }

    public async ValueTask SaveAsync(IFileStore store, string name, T document, CancellationToken cancellationToken)
    {
        string unfinished = name + NewSuffix;
        await store.DeleteAsync(unfinished, cancellationToken); // Left by a crash in the middle of this.
        await using (IStoreFile file = await store.OpenAsync(unfinished, FileOpen.New, cancellationToken))
        {
            await file.WriteAsync(0, Encode(document), cancellationToken);
            await file.FlushAsync(cancellationToken);
        }

        await store.RenameAsync(unfinished, name, cancellationToken);
        await store.FlushFolderAsync(FolderOf(name), cancellationToken);
    }

    public static async ValueTask DeleteAsync(IFileStore store, string name, CancellationToken cancellationToken)
    {
        await store.DeleteAsync(name + NewSuffix, cancellationToken);
        await store.DeleteAsync(name, cancellationToken);
        await store.FlushFolderAsync(FolderOf(name), cancellationToken);
    }

    public byte[] Encode(T document)
    {
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(document, json);
        string header = string.Create(CultureInfo.InvariantCulture, $"{kind} {Version} {body.Length} {Crc32C.Compute(body):x8}\n");
        return [.. Encoding.ASCII.GetBytes(header), .. body];
    }

    /// <summary>Null when the bytes are no such document; <paramref name="defect"/> then says why.</summary>
    public T? Decode(ReadOnlySpan<byte> file, out string defect)
    {
        int end = file[..Math.Min(file.Length, MaxHeaderBytes)].IndexOf((byte)'\n');
        string[] words = end < 0 ? [] : Encoding.ASCII.GetString(file[..end]).Split(' ');
        if (words.Length != 4 || words[0] != kind)
        {
            defect = $"it is no {kind} file";
            return null;
        }

        if (words[1] != Version)
        {
            defect = $"its version {words[1]} is not known to this software";
            return null;
        }

        ReadOnlySpan<byte> body = file[(end + 1)..];
        if (words[2] != body.Length.ToString(CultureInfo.InvariantCulture)
            || words[3] != Crc32C.Compute(body).ToString("x8", CultureInfo.InvariantCulture))
        {
            defect = "its length or checksum is wrong";
            return null;
        }

        try
        {
            defect = "it is empty";
            return JsonSerializer.Deserialize(body, json);
        }
        catch (JsonException malformed)
        {
            defect = malformed.Message;
            return null;
        }
    }

    private static StorageException Corrupt(string name, string what) =>
        new(FaultKind.Corrupt, name, what, "See docs/formats/run-state.md: what the file says can be found out from the hypervisor.");

    private static string FolderOf(string name) => name.LastIndexOf('/') is >= 0 and var slash ? name[..slash] : "";
}
