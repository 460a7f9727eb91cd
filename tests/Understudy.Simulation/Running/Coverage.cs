using Understudy.Model;
using Understudy.Plans;

namespace Understudy.Simulation.Running;

/// <summary>Which of all the situations that there are the seeds have been in: what was never reached was never tested.</summary>
internal sealed class Coverage
{
    private readonly SortedDictionary<string, long> _reached = new(StringComparer.Ordinal);

    /// <summary>Every command in every state of the life cycle's table.</summary>
    public static IReadOnlyList<string> AllPairs { get; } =
        [.. LifeCycle.States.SelectMany(state => Enum.GetValues<VmCommand>().Select(command => Name(state, command)))];

    public void Pair(ProtectionState state, VmCommand command) => Add(Name(state, command), 1);

    /// <summary>What the two sides say at the same time of who owns a VM.</summary>
    public void Owners(string source, string target) => Add($"source {source}, target {target}", 1);

    public void AddAll(Coverage other)
    {
        foreach ((string name, long count) in other._reached)
        {
            Add(name, count);
        }
    }

    public IEnumerable<string> Missing(IEnumerable<string> wanted) => wanted.Where(name => !_reached.ContainsKey(name));

    public void Print(TextWriter writer)
    {
        string[] missing = [.. Missing(AllPairs)];
        foreach ((string pair, long count) in _reached.Where(reached => reached.Key.StartsWith("source ", StringComparison.Ordinal)))
        {
            writer.WriteLine($"  {pair,-50}{count,8}");
        }

        writer.WriteLine($"  {AllPairs.Count - missing.Length} of {AllPairs.Count} pairs of state and command");
        foreach (IGrouping<string, string> state in missing.GroupBy(name => name[..name.IndexOf(" x ", StringComparison.Ordinal)]))
        {
            writer.WriteLine($"    not reached in {state.Key}: {string.Join(", ", state.Select(name => name[(state.Key.Length + 3)..]))}");
        }
    }

    private static string Name(ProtectionState state, VmCommand command) => $"{state} x {LifeCycle.WordOf(command)}";

    private void Add(string name, long count) => _reached[name] = _reached.GetValueOrDefault(name) + count;
}
