using System.Globalization;
using System.Text;
using System.Text.Json;
using Understudy.Blocks;
using Understudy.Blocks.Storage;

namespace Understudy.Journal.Manifests;

/// <summary>
/// The file <c>manifest</c>: one line <c>understudy-manifest 1 LENGTH CRC</c>, then the body. Replaced as a whole: written
/// beside, flushed, renamed, folder flushed. There is always exactly one, the old or the new.
/// </summary>
internal static class ManifestFile
{
    public const string Name = "manifest";

    public const int Version = 1;

    /// <summary>A body with ten thousand points pinned is a few MiB; anything larger is not a manifest.</summary>
    public const int MaxBytes = 64 * 1024 * 1024;

    private const string NewName = "manifest.new";
    private const int MaxHeaderBytes = 64;

    public static byte[] Encode(Manifest manifest)
    {
        byte[] body = [.. JsonSerializer.SerializeToUtf8Bytes(manifest, ManifestJson.Default.Manifest), (byte)'\n'];
        string header = string.Create(
            CultureInfo.InvariantCulture, $"understudy-manifest {Version} {body.Length} {Crc32C.Compute(body):x8}\n");
        return [.. Encoding.ASCII.GetBytes(header), .. body];
    }

    /// <summary>The manifest, or why these bytes are none.</summary>
    public static Manifest Decode(ReadOnlySpan<byte> file)
    {
        int end = file[..Math.Min(file.Length, MaxHeaderBytes)].IndexOf((byte)'\n');
        string[] words = end < 0 ? [] : Encoding.ASCII.GetString(file[..end]).Split(' ');
        if (words.Length != 4 || words[0] != "understudy-manifest" || !int.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out int version))
        {
            throw Corrupt("it does not begin like a manifest");
        }

        ReadOnlySpan<byte> body = file[(end + 1)..];
        bool isWhole = int.TryParse(words[2], NumberStyles.None, CultureInfo.InvariantCulture, out int length) && length == body.Length
            && words[3] == Crc32C.Compute(body).ToString("x8", CultureInfo.InvariantCulture);
        if (!isWhole)
        {
            throw Corrupt("its body does not match the length and checksum in its first line");
        }

        if (version != Version)
        {
            throw new StorageException(FaultKind.Denied, Name, $"it has format {version}, this version reads {Version}", "Upgrade this agent.");
        }

        try
        {
            return JsonSerializer.Deserialize(body, ManifestJson.Default.Manifest) ?? throw Corrupt("its body is null");
        }
        catch (JsonException e)
        {
            throw Corrupt($"its body cannot be understood: {e.Message}");
        }
    }

    public static async ValueTask<Manifest> ReadAsync(IFileStore store, CancellationToken cancellationToken)
    {
        await using IStoreFile file = await store.OpenAsync(Name, FileOpen.Read, cancellationToken);
        long length = file.LengthBytes;
        if (length > MaxBytes)
        {
            throw Corrupt($"it is {length} bytes long");
        }

        byte[] bytes = new byte[length];
        int read = await file.ReadAsync(0, bytes, cancellationToken);
        return Decode(bytes.AsSpan(0, read));
    }

    /// <summary>Durable when this returns; when it throws, the old one or the new one is there, whole.</summary>
    public static async ValueTask WriteAsync(IFileStore store, Manifest manifest)
    {
        await SmallFile.ReplaceAsync(store, Name, NewName, Encode(manifest));
    }

    private static StorageException Corrupt(string what) => new(
        FaultKind.Corrupt, Name, what, "The base image and the journal are untouched; docs/formats/README.md says how to read them by hand.");
}
