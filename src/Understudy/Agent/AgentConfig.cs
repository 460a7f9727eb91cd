using System.Text.Json;
using System.Text.Json.Serialization;
using Understudy.Agent.Guard;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Model;

namespace Understudy.Agent;

/// <summary>Where things are on this host; <c>agent.json</c> in the agent's data folder, written when the host joins. An
/// administrator may change it and start the agent anew.</summary>
internal sealed record AgentConfig
{
    public const string DefaultDataFolder = "/var/lib/understudy/agent";
    public const int DefaultPort = 7443;
    private const string FileName = "agent.json";
    private const int MaxBytes = 64 * 1024;

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

    /// <summary>Folder for changes that are not delivered yet, and for the hypervisor's scratch during a cut. On disk: a
    /// scratch that is full pauses the guest.</summary>
    public required string SpoolFolder { get; init; }

    /// <summary>Where serial ports of recovered guests write to.</summary>
    public required string GuestLogFolder { get; init; }

    /// <summary>Folder for sockets; short, because a UNIX socket's path ends at 107 bytes.</summary>
    public required string RunFolder { get; init; }

    /// <summary>libvirt's folder of hooks, into which the start guard is put.</summary>
    public string HooksFolder { get; init; } = GuardInstaller.DefaultHooksFolder;

    /// <summary>Where the host's own command line reaches its agent.</summary>
    [JsonIgnore]
    public string LocalSocket => Path.Combine(RunFolder, LocalChannel.SocketName);

    [JsonIgnore]
    public string ScratchFolder => Path.Combine(SpoolFolder, "scratch");

    public static async ValueTask<AgentConfig> ReadAsync(string dataFolder, CancellationToken cancellationToken)
    {
        string path = Path.Combine(dataFolder, FileName);
        byte[] content = await PrivateFile.TryReadAsync(new FolderStore(dataFolder), FileName, MaxBytes, cancellationToken)
            ?? throw new ErrorException(Errors.BadValue("agent configuration", path, "there is no such file"));
        try
        {
            return JsonSerializer.Deserialize(content, AgentJson.Default.AgentConfig)
                ?? throw new ErrorException(Errors.BadValue("agent configuration", path, "it is empty"));
        }
        catch (JsonException e)
        {
            throw new ErrorException(Errors.BadValue("agent configuration", path, e.Message), e);
        }
    }

    public ValueTask WriteAsync(IFileStore dataFolder, CancellationToken cancellationToken) =>
        PrivateFile.ReplaceAsync(dataFolder, FileName, JsonSerializer.SerializeToUtf8Bytes(this, AgentJson.Default.AgentConfig), cancellationToken);
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, WriteIndented = true, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(AgentConfig))]
[JsonSerializable(typeof(SourceOrder))]
[JsonSerializable(typeof(TargetOrder))]
[JsonSerializable(typeof(Places.ReplicaPlace))]
[JsonSerializable(typeof(Places.PoolMark))]
internal sealed partial class AgentJson : JsonSerializerContext;
