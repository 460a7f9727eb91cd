using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Definition;

namespace Understudy.Protection.Target.Hosting;

/// <summary>Which numbers of bubbles are taken on this host: by tests of ours, and by bridges that exist already.</summary>
internal sealed class BubbleNumbers(IVirtualNetworks networks)
{
    private readonly AsyncGate _gate = new();
    private readonly SortedSet<int> _taken = [];

    /// <summary>The lowest free number; taken until released.</summary>
    public async ValueTask<int> TakeAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        IReadOnlyList<NetworkFacts> existing = await networks.ListNetworksAsync(cancellationToken);
        for (int number = 0; number < TestNetwork.Count; number++)
        {
            string bridge = TestNetwork.BridgeFor(number);
            if (!_taken.Contains(number) && existing.All(network => network.Bridge != bridge))
            {
                _taken.Add(number);
                return number;
            }
        }

        throw new RefusedException(RefusalCode.Busy, $"All {TestNetwork.Count} test networks of this host are in use.", "Complete a test first.");
    }

    /// <summary>A test found after a restart has its number already.</summary>
    public async ValueTask KeepAsync(int number, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        _taken.Add(number);
    }

    public async ValueTask ReleaseAsync(int number, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        _taken.Remove(number);
    }
}
