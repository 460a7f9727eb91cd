using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;
using Understudy.Protection.Ports;
using Understudy.Replication;
using Understudy.Replication.Sending;

namespace Understudy.Protection.Source;

/// <summary>Everything a source needs from outside.</summary>
/// <param name="Store">A folder of its own, for state and spool.</param>
/// <param name="Limiter">Shared by all sources of the host.</param>
public sealed record SourceEnvironment(
    IVmInventory Inventory,
    IVmCapture Capture,
    IFileStore Store,
    IPeerConnector Connector,
    CaptureLimiter Limiter,
    ISourceEvents Events,
    TimeProvider Time,
    IIdSource Ids,
    string Software,
    ILogger<SourceVm> Logger);

/// <summary>
/// Replicates one VM from its source: the first copy in slices, then a cycle at each frequency, then again after whatever
/// went wrong. One loop owns all state (<see cref="RunAsync"/>); the public members may be called from anywhere.
/// The order of every cycle (docs/protocols/capture.md): cut, drain to the spool, flush it, end the capture, make "pending"
/// durable, send, wait for the target's word, make "acknowledged" durable, delete the older checkpoint. Killed at any
/// await, the next run goes on from what is durable (<see cref="RecoveryRules"/>).
/// </summary>
public sealed partial class SourceVm : IDisposable
{
    private readonly SourceEnvironment _environment;
    private readonly SourceStateStore _states;
    private readonly RecordCodec _codec = new();
    private readonly RetryPauses _pauses;
    private readonly SourceStatistics _statistics = new();
    private readonly Pulse _nudged = new();
    private readonly Spool _spool;
    private SourceState _state;
    private volatile SourcePolicy _policy;
    private volatile SourceStatus _status;
    private ReplicationSender? _sender;
    private bool _recovered;

    /// <summary>Set while checkpoints, a capture or spool files may be left that the state does not name: they are removed
    /// before the next cut.</summary>
    private bool _strays = true;

    /// <summary>One that was due has been made in this run, at <see cref="_lastDueCut"/>; slices of a joining disk come between.</summary>
    private bool _cutMade;
    private long _lastDueCut;
    private long _lastCut;
    private long _lastNameMilliseconds;
    private bool _peerAnswers = true;

    private SourceVm(SourceEnvironment environment, SourceState state, SourcePolicy policy)
    {
        _environment = environment;
        _states = new SourceStateStore(environment.Store);
        _state = state;
        _policy = policy;
        _spool = new Spool(environment.Store, state.Spec, environment.Time);
        _pauses = new RetryPauses(environment.Ids);
        _lastCut = _lastDueCut = environment.Time.GetTimestamp();
        _status = new SourceStatus { Phase = SourcePhase.Preparing };
    }

    public SourceSpec Spec => _state.Spec;

    public SourceStatus Status => _status;

    /// <summary>Beats when <see cref="Status"/> has been replaced.</summary>
    public Pulse StatusChanged { get; } = new();

    /// <summary>Protects a VM that is not protected yet in this store; durable when it returns.</summary>
    public static async ValueTask<SourceVm> CreateAsync(
        SourceEnvironment environment, SourceSpec spec, IReadOnlyList<DiskNow> disks, SourcePolicy policy, CancellationToken cancellationToken)
    {
        policy.Validate();
        SourceStateStore states = new(environment.Store);
        if (await states.LoadAsync(cancellationToken) is not null)
        {
            throw new StorageException(FaultKind.Exists, SourceStateStore.Name, $"VM {spec.VmName} is protected here already");
        }

        SourceState state = SourceTransitions.New(spec, disks);
        await environment.Store.CreateFolderAsync("", cancellationToken);
        await states.SaveAsync(state, cancellationToken);
        return new SourceVm(environment, state, policy);
    }

    /// <summary>Goes on with a VM that is protected in this store; null when none is.</summary>
    public static async ValueTask<SourceVm?> OpenAsync(
        SourceEnvironment environment, SourcePolicy policy, CancellationToken cancellationToken)
    {
        policy.Validate();
        return await new SourceStateStore(environment.Store).LoadAsync(cancellationToken) is { } state
            ? new SourceVm(environment, state, policy)
            : null;
    }

    /// <summary>Takes effect from the next cut on.</summary>
    public void ApplyPolicy(SourcePolicy policy)
    {
        policy.Validate();
        _policy = policy;
        _nudged.Beat();
    }

    /// <summary>Someone has heard from the target (or the VM has started): end the present pause.</summary>
    public void PeerIsBack() => _nudged.Beat();

    /// <summary>
    /// Replicates until it is cancelled. Ends by an exception only when its own state cannot be trusted
    /// (<see cref="InvariantException"/>) or it was cancelled; every other fault is shown in <see cref="Status"/> and
    /// tried again.
    /// </summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                SourceStep step = SourceSteps.Next(_recovered, _state, IsDue(), EarlyBy() > TimeSpan.Zero);
                try
                {
                    await TakeAsync(step, cancellationToken);
                }
                catch (UnderstudyException fault)
                {
                    await PauseAfterAsync(step, fault, cancellationToken);
                }
            }
        }
        finally
        {
            await DisconnectAsync();
        }
    }

    /// <summary>
    /// Ends the protection here: our checkpoints, capture and scratch at the hypervisor, the spool and the state. To be
    /// called when <see cref="RunAsync"/> has ended. When it throws, calling it again goes on.
    /// </summary>
    public async ValueTask UnprotectAsync(CancellationToken cancellationToken)
    {
        try
        {
            await RemoveStrayCheckpointsAsync(keep: null, cancellationToken);
        }
        catch (HypervisorException gone) when (gone.Fault == HypervisorFault.NoSuchVm)
        {
            Log.NothingToClean(_environment.Logger, Spec.Vm);
        }

        await _spool.KeepOnlyAsync(null, cancellationToken);
        await _states.DeleteAsync(cancellationToken);
        Log.Unprotected(_environment.Logger, Spec.Vm);
    }

    public void Dispose() => _codec.Dispose();

    private ValueTask TakeAsync(SourceStep step, CancellationToken cancellationToken) => step switch
    {
        SourceStep.Recover => RecoverAsync(cancellationToken),
        SourceStep.Deliver => DeliverAsync(cancellationToken),
        SourceStep.AskTarget => AskTargetAsync(cancellationToken),
        SourceStep.Cut => CutAsync(cancellationToken),
        SourceStep.Wait => WaitForNextCycleAsync(cancellationToken),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private TimeSpan EarlyBy() => (_policy.StartAt ?? DateTimeOffset.MinValue) - _environment.Time.GetUtcNow();

    private bool IsDue() => Due is not { } due || _environment.Time.GetTimestamp() >= due;

    /// <summary>When the next cycle is due by the policy of now, as a timestamp, so that a shorter frequency takes effect at
    /// once; null for at once.</summary>
    private long? Due => _cutMade ? _lastDueCut + (long)(_policy.Frequency.TotalSeconds * _environment.Time.TimestampFrequency) : null;

    private async ValueTask SaveAsync(SourceState state, CancellationToken cancellationToken)
    {
        await _states.SaveAsync(state, cancellationToken);
        _state = state;
    }
}
