using System.Text.Json;
using Understudy.Model;
using Understudy.Protection.Source;

namespace Understudy.Agent;

/// <summary>What the vault ordered for one protected VM; <c>order.json</c> beside the engine's own state.</summary>
internal sealed record SourceOrder(Guid Replica, Guid Target, string Endpoint, TimeSpan Frequency, bool Compression)
{
    private const string FileName = "order.json";

    public SourcePolicy Policy => new() { Frequency = Frequency, Compression = Compression };

    /// <summary>Null when the folder holds none.</summary>
    public static SourceOrder? TryRead(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), AgentJson.Default.SourceOrder);
        }
        catch (JsonException e)
        {
            throw new Blocks.StorageException(Blocks.FaultKind.Corrupt, path, e.Message, "Unprotect the VM in the vault and protect it again.", e);
        }
    }

    public void Write(string folder) => PrivateFile.Replace(Path.Combine(folder, FileName), JsonSerializer.SerializeToUtf8Bytes(this, AgentJson.Default.SourceOrder));

    public static void Delete(string folder) => File.Delete(Path.Combine(folder, FileName));
}
