using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Tests.Source.Guest;

/// <summary>A VM as its keeper sees it: starts only where the guard lets it, shuts down when it is asked often enough.</summary>
internal sealed class ModelGuest(VmId vm, Func<bool> mayStart) : IVmInventory, IVmLifecycle
{
    private bool _destroyed;

    public VmRunState State { get; set; } = VmRunState.Running;

    public bool LinksAreUp { get; private set; } = true;

    public bool Autostart { get; init; }

    /// <summary>Requests after which it shuts down.</summary>
    public int Listens { get; init; } = 1;

    public int Requests { get; private set; }

    public int Starts { get; private set; }

    /// <summary>Thrown by every call while it is set.</summary>
    public HypervisorException? Down { get; set; }

    public ValueTask<VmRunState> GetRunStateAsync(VmId id, CancellationToken cancellationToken) => new(Answer(State));

    public ValueTask<VmFacts?> FindVmAsync(VmId id, CancellationToken cancellationToken) =>
        new(Answer(new VmFacts(vm, "web1", State, 1, 1, "bios", "pc", true, false, false, [], [], Autostart, EndedByForce: State == VmRunState.Off && _destroyed)));

    public ValueTask StartAsync(VmId id, CancellationToken cancellationToken)
    {
        Answer(0);
        if (!mayStart())
        {
            throw new HypervisorException(HypervisorFault.Refused, "hook script execution failed");
        }

        Require(State is VmRunState.Off or VmRunState.Crashed, "domain is already running");
        Starts++;
        State = VmRunState.Running;
        LinksAreUp = true;
        return default;
    }

    public ValueTask ResumeAsync(VmId id, CancellationToken cancellationToken)
    {
        Require(Answer(State) is VmRunState.Paused, "domain is not paused");
        State = VmRunState.Running;
        return default;
    }

    public ValueTask SuspendAsync(VmId id, CancellationToken cancellationToken)
    {
        RequireOn(Answer(State));
        State = VmRunState.Paused;
        return default;
    }

    public ValueTask RequestShutdownAsync(VmId id, CancellationToken cancellationToken)
    {
        RequireOn(Answer(State));
        Requests++;
        State = Requests >= Listens && State == VmRunState.Running ? VmRunState.Off : State;
        return default;
    }

    public ValueTask DestroyAsync(VmId id, CancellationToken cancellationToken)
    {
        Answer(0);
        _destroyed |= State != VmRunState.Off;
        State = VmRunState.Off;
        return default;
    }

    public ValueTask SetLinksAsync(VmId id, bool up, CancellationToken cancellationToken)
    {
        RequireOn(Answer(State));
        LinksAreUp = up;
        return default;
    }

    public ValueTask<HostFacts> GetHostAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask<IReadOnlyList<VmFacts>> ListVmsAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask<string> GetDefinitionAsync(VmId id, DefinitionKind kind, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask<VmId> DefineAsync(string domainXml, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask UndefineAsync(VmId id, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask<string> MonitorCommandAsync(VmId id, string qmpJson, CancellationToken cancellationToken) => throw new NotSupportedException();

    private T Answer<T>(T value) => Down is { } down ? throw down : value;

    private static void RequireOn(VmRunState state)
    {
        if (state is VmRunState.Off or VmRunState.Crashed or VmRunState.Absent)
        {
            throw new HypervisorException(HypervisorFault.NotRunning, "domain is not running");
        }
    }

    private static void Require(bool holds, string words)
    {
        if (!holds)
        {
            throw new HypervisorException(HypervisorFault.Refused, words);
        }
    }
}
