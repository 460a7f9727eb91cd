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

    public static AgentMethod<LocalForgetRequest, Removed> Forget { get; } = new("local.forget", true, _json.LocalForgetRequest, _json.Removed);

    public static AgentMethod<LocalSettings, LocalState> Configure { get; } = new("local.configure", false, _json.LocalSettings, _json.LocalState);
}

/// <summary>A human says that the VM belongs here: at its source, or where it was failed over to.</summary>
/// <param name="Start">Run it at once.</param>
public sealed record LocalClaimRequest(VmId Vm, ReplicaId Replica, bool Start);

/// <param name="Line">By which it belongs here now.</param>
public sealed record LocalClaimed(LineId Line);

/// <summary>A human says that the place of this VM's replica never comes back: nothing on this host waits for it any more.</summary>
public sealed record LocalForgetRequest(VmId Vm);

/// <summary>What an administrator changes on the host itself, because the vault cannot be reached yet or any more. Null leaves it.</summary>
/// <param name="Proxy">HTTP CONNECT, "none" for none.</param>
/// <param name="Visible">Which VMs the vault may know of, a <see cref="VmRule"/>.</param>
/// <param name="Untried">The addresses hold although the vault answers at none of them.</param>
public sealed record LocalSettings(IReadOnlyList<string>? VaultUrls = null, string? Proxy = null, string? Visible = null, bool Untried = false);

/// <summary>All that stands on this host, in the names of people.</summary>
public sealed record LocalState(
    HostId Host,
    string Name,
    string Site,
    string AgentVersion,
    VaultConnection Vault,
    IReadOnlyList<LocalReplica> Replicas,
    IReadOnlyList<LocalSource> Sources,
    ProxyState? Proxy = null,
    LocalVisibility? Visibility = null,
    IReadOnlyList<ReplicaUnavailable>? Unavailable = null);

/// <summary>What the host's rule makes of its VMs, by name. Lists are null where the hypervisor does not answer.</summary>
/// <param name="Shown">Meant by the rule.</param>
/// <param name="OnlyWhileProtected">Hidden by it, and shown until their protection ends.</param>
public sealed record LocalVisibility(
    string Rule, IReadOnlyList<string>? Shown, IReadOnlyList<string>? OnlyWhileProtected, IReadOnlyList<string>? Hidden);

/// <param name="Error">Why there is none now; null while connected, and before the first attempt has ended.</param>
/// <param name="Version">Of the vault that was met last.</param>
public sealed record VaultConnection(bool Connected, IReadOnlyList<string> Urls, ErrorInfo? Error, string? Version = null);

/// <param name="VmName">At the source.</param>
/// <param name="TargetName">The name it gets here.</param>
/// <param name="SourceConnected">Its source is sending now, so the VM is known to run or to be watched there (PRE-5).</param>
/// <param name="SourceCalls">Its source's agent has called within the last seconds; one that is not the owner calls and is refused.</param>
/// <param name="Settings">How it is to run here, as the vault ordered it last.</param>
public sealed record LocalReplica(
    string VmName,
    string TargetName,
    HostId Source,
    bool SourceConnected,
    bool SourceCalls,
    RecoverySettings Settings,
    IReadOnlyList<LocalTest> Tests,
    TargetReport Report);

public sealed record LocalTest(TestId Id, string VmName, RecoveryPointId Point);

/// <param name="Endpoint">Where its replica is.</param>
public sealed record LocalSource(string VmName, string Endpoint, SourceReport Report);
