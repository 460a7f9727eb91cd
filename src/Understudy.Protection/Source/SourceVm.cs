using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Replication;
using Understudy.Replication.Sending;

namespace Understudy.Protection.Source;

/// <summary>Everything a source needs from outside.</summary>
/// <param name="Ownership">This side's part of the VM's token; nothing is cut or sent unless the VM is owned here.</param>
/// <param name="Store">A folder of its own, for state and spool.</param>
/// <param name="Limiter">Shared by all sources of the host.</param>
public sealed record SourceEnvironment(
    IVmInventory Inventory,
    IVmCapture Capture,
    IStoppedDisks Stopped,
    OwnershipToken Ownership,
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
    private Spool _spool;
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

    /// <summary>The VM was off when a cut was due; cleared by whoever sees it start.</summary>
    private volatile bool _waitsForVm;

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

    /// <summary>From which a line that begins here goes on: the last point that the target is known to hold.</summary>
    public RecoveryPointId LastKnownPoint => _state.LastPoint?.Id ?? new RecoveryPointId(Spec.Line, _state.AcknowledgedSequence);

    /// <summary>Beats when <see cref="Status"/> has been replaced.</summary>
    public Pulse StatusChanged { get; } = new();

    /// <summary>Makes the state of a VM that is not protected yet in this store; durable when it returns.</summary>
    public static async ValueTask PrepareAsync(
        IFileStore store, SourceSpec spec, IReadOnlyList<DiskNow> disks, CancellationToken cancellationToken)
    {
        SourceStateStore states = new(store);
        if (await states.LoadAsync(cancellationToken) is not null)
        {
            throw new StorageException(FaultKind.Exists, SourceStateStore.Name, $"VM {spec.VmName} is protected here already");
        }

        await store.CreateFolderAsync("", cancellationToken);
        await states.SaveAsync(SourceTransitions.New(spec, disks), cancellationToken);
    }

    /// <summary>Where nothing is protected: what a process left that was killed while it prepared something.</summary>
    public static ValueTask DeleteUnfinishedAsync(IFileStore store, CancellationToken cancellationToken) => new SourceStateStore(store).DeleteUnfinishedAsync(cancellationToken);

    /// <summary>What is protected in this store; null when nothing is.</summary>
    public static async ValueTask<SourceSpec?> FindSpecAsync(IFileStore store, CancellationToken cancellationToken) =>
        (await new SourceStateStore(store).LoadAsync(cancellationToken))?.Spec;

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
    public void PeerIsBack()
    {
        _waitsForVm = false;
        _nudged.Beat();
    }

    /// <summary>The target has dialled: a wait for the link is over, any other goes on.</summary>
    public void PeerHasCalled()
    {
        if (_status.Wait == SourceWait.Link)
        {
            _nudged.Beat();
        }
    }

    /// <summary>
    /// Replicates until it is cancelled. Ends by an exception only when its own state cannot be trusted
    /// (<see cref="InvariantException"/>) or it was cancelled; every other fault is shown in <see cref="Status"/> and
    /// tried again.
    /// </summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        OpenMailbox(true);
        try
        {
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                await RunOrdersAsync(cancellationToken);
                await TakeStepAsync(cancellationToken);
            }
        }
        finally
        {
            OpenMailbox(false);
            RefuseWanted(_ => true, StandsStill()); // Admitted, and nobody is left to make it.
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

        HasBegunToEnd = true;
        await _spool.ClearAsync(cancellationToken);
        await _states.DeleteAsync(cancellationToken);
        Log.Unprotected(_environment.Logger, Spec.Vm);
    }

    /// <summary>Its files are going, or gone: from then on they say whether it is protected still, and this engine does not run again.</summary>
    public bool HasBegunToEnd { get; private set; }

    public void Dispose() => _codec.Dispose();

    /// <summary>One step, or as much of it as an order that cannot wait lets it.</summary>
    private async ValueTask TakeStepAsync(CancellationToken cancellationToken)
    {
        CancellationToken interruption;
        lock (_mailbox)
        {
            interruption = _interruption.Token;
        }

        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, interruption);
        SourceSituation now = new(_recovered, Hold(), IsDue(), EarlyBy() > TimeSpan.Zero, IsConnected, IsFinal: NextFinal() is not null, LacksSums);
        SourceStep step = SourceSteps.Next(_state, now);
        try
        {
            try
            {
                await TakeAsync(step, either.Token);
            }
            catch (UnderstudyException fault)
            {
                await PauseAfterAsync(step, fault, either.Token);
            }
            catch (Exception fault) when (UnnamedFaultException.IsOne(fault))
            {
                await PauseAfterAsync(step, new UnnamedFaultException(fault), either.Token);
            }
        }
        catch (OperationCanceledException) when (interruption.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            await DisconnectAsync(); // A record may have been sent in half.
        }
    }

    private ValueTask TakeAsync(SourceStep step, CancellationToken cancellationToken) => step switch
    {
        SourceStep.Recover => RecoverAsync(cancellationToken),
        SourceStep.TakeOver => TakeOverAsync(cancellationToken),
        SourceStep.Contact => ContactAsync(cancellationToken),
        SourceStep.Deliver => DeliverAsync(cancellationToken),
        SourceStep.AskTarget => AskTargetAsync(cancellationToken),
        SourceStep.Compare => CompareAsync(cancellationToken),
        SourceStep.Cut => CutAsync(cancellationToken),
        SourceStep.Wait => WaitForNextCycleAsync(cancellationToken),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private TimeSpan EarlyBy() => (_policy.StartAt ?? DateTimeOffset.MinValue) - _environment.Time.GetUtcNow();

    /// <summary>A VM that is off is not due while the target does not answer: hearing from that comes first.</summary>
    private bool IsDue() => (!_waitsForVm || IsConnected)
        && (NextWanted() is not null || Due is not { } due || _environment.Time.GetTimestamp() >= due);

    /// <summary>When the next cycle is due by the policy of now, as a timestamp, so that a shorter frequency takes effect at
    /// once; null for at once.</summary>
    private long? Due => _cutMade ? _lastDueCut + (long)(_policy.Frequency.TotalSeconds * _environment.Time.TimestampFrequency) : null;

    /// <summary>Not cancelled in the middle: what is known here and what is durable stay the same thing.</summary>
    private async ValueTask SaveAsync(SourceState state, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await _states.SaveAsync(state, CancellationToken.None);
        IReadOnlyList<SourceDisk> before = _state.Disks;
        _state = state;
        await KeepSumsAsync(before);
    }
}
