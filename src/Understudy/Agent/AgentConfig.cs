using System.Text.Json;
using System.Text.Json.Serialization;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>What an agent knows of itself; <c>agent.json</c> in its data folder, written when the host joined.</summary>
internal sealed record AgentConfig
{
    public const string DefaultDataFolder = "/var/lib/understudy/agent";
    public const int DefaultPort = 7443;

    public required Guid HostId { get; init; }

    /// <summary>As the vault shows it.</summary>
    public required string Name { get; init; }

    public required string Site { get; init; }

    /// <summary>Addresses of the vault, first choice first.</summary>
    public required IReadOnlyList<string> VaultUrls { get; init; }

    /// <summary>HTTP CONNECT proxy towards the vault; null for none.</summary>
    public string? Proxy { get; init; }

    /// <summary>Where replication is taken in, "address:port".</summary>
    public required string Listen { get; init; }

    /// <summary>Where other hosts reach <see cref="Listen"/>, "name:port".</summary>
    public required string Advertise { get; init; }

    public required string LibvirtUri { get; init; }

    /// <summary>Folder of the replicas: their journals and state.</summary>
    public required string ReplicasFolder { get; init; }

    /// <summary>Folder of the disks: base images, later those of recovered VMs. QEMU's user must be able to walk into it.</summary>
    public required string ImagesFolder { get; init; }

    /// <summary>Folder for changes that are not delivered yet, and for the hypervisor's scratch during a cut.</summary>
    public required string SpoolFolder { get; init; }

    /// <summary>Where serial ports of recovered guests write to.</summary>
    public string GuestLogFolder { get; init; } = "/var/log/libvirt/guests";

    /// <summary>Folder for sockets; short, because a UNIX socket's path ends at 107 bytes.</summary>
    public required string RunFolder { get; init; }

    public static AgentConfig Read(string dataFolder)
    {
        string path = FilePath(dataFolder);
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), AgentJson.Default.AgentConfig)
                ?? throw new ErrorException(Errors.BadValue("agent configuration", path, "it is empty"));
        }
        catch (JsonException e)
        {
            throw new ErrorException(Errors.BadValue("agent configuration", path, e.Message), e);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ErrorException(
                new ErrorInfo(ErrorKind.Refused, "agent-not-joined", "This host has not joined a vault", $"There is no {path}.",
                    "Make a key with `understudy site key SITE` and join: `understudy agent --join FILE`."),
                e);
        }
    }

    public void Write(string dataFolder) => PrivateFile.Replace(FilePath(dataFolder), JsonSerializer.SerializeToUtf8Bytes(this, AgentJson.Default.AgentConfig));

    public static string FilePath(string dataFolder) => Path.Combine(dataFolder, "agent.json");
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, WriteIndented = true, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(AgentConfig))]
[JsonSerializable(typeof(SourceOrder))]
internal sealed partial class AgentJson : JsonSerializerContext;
