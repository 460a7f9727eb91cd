using Understudy.Api.Json;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>What only the host's own command line asks of its agent; everything else of <see cref="AgentMethods"/> it asks as the vault would.</summary>
public static class LocalMethods
{
    private static readonly ApiJson _json = ApiJson.Default;

    public static AgentMethod<Nothing, LocalState> State { get; } = new("local.state", false, _json.Nothing, _json.LocalState);

    public static AgentMethod<LocalClaimRequest, LocalClaimed> Claim { get; } = new("local.claim", true, _json.LocalClaimRequest, _json.LocalClaimed);

    public static AgentMethod<LocalSettings, LocalState> Configure { get; } = new("local.configure", false, _json.LocalSettings, _json.LocalState);
}

/// <summary>A human says that the VM belongs here: at its source, or where it was failed over to.</summary>
/// <param name="Start">Run it at once.</param>
public sealed record LocalClaimRequest(VmId Vm, ReplicaId Replica, bool Start);

/// <param name="Line">By which it belongs here now.</param>
public sealed record LocalClaimed(LineId Line);

/// <summary>What an administrator changes on the host itself, because the vault cannot be reached yet or any more. Null leaves it.</summary>
/// <param name="Proxy">HTTP CONNECT, "none" for none.</param>
public sealed record LocalSettings(IReadOnlyList<string>? VaultUrls = null, string? Proxy = null);

/// <summary>All that stands on this host, in the names of people.</summary>
public sealed record LocalState(
    HostId Host,
    string Name,
    string Site,
    string AgentVersion,
    VaultConnection Vault,
    IReadOnlyList<LocalReplica> Replicas,
    IReadOnlyList<LocalSource> Sources);

/// <param name="Error">Why there is none now; null while connected, and before the first attempt has ended.</param>
/// <param name="Version">Of the vault that was met last.</param>
public sealed record VaultConnection(bool Connected, IReadOnlyList<string> Urls, ErrorInfo? Error, string? Version = null);

/// <param name="VmName">At the source.</param>
/// <param name="TargetName">The name it gets here.</param>
/// <param name="SourceConnected">Its source is sending now, so the VM is known to run or to be watched there (PRE-5).</param>
/// <param name="Settings">How it is to run here, as the vault ordered it last.</param>
public sealed record LocalReplica(
    string VmName,
    string TargetName,
    HostId Source,
    bool SourceConnected,
    RecoverySettings Settings,
    IReadOnlyList<LocalTest> Tests,
    TargetReport Report);

public sealed record LocalTest(TestId Id, string VmName, RecoveryPointId Point);

/// <param name="Endpoint">Where its replica is.</param>
public sealed record LocalSource(string VmName, string Endpoint, SourceReport Report);
