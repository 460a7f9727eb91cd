using Understudy.Model;
using Understudy.Plans;

namespace Understudy.Simulation.Running;

/// <summary>
/// Which of all the situations that there are the seeds have been in: what was never reached was never tested. After enough
/// seeds a run in which something possible was not reached is a failed one.
/// </summary>
internal sealed class Coverage
{
    /// <summary>Runs of two sides after which everything possible must have been met.</summary>
    public const long EnoughRuns = 8000;

    /// <summary>What one side can say of who owns a VM.</summary>
    private static readonly string[] _words = ["has none", "here", "fenced", "unsure", "offered", "elsewhere", "deposed"];

    /// <summary>Situations that there cannot be, and why.</summary>
    private static readonly Dictionary<string, string> _impossible = new(StringComparer.Ordinal)
    {
        [Name("has none", "fenced")] = "a target that lets go of the VM has not committed, and until then the source's record stands",
        [Name("has none", "offered")] = "a VM on its way home has a source; its protection ends at the target first",
        [Name("elsewhere", "elsewhere")] = Nobody,
        [Name("elsewhere", "deposed")] = Nobody,
        [Name("deposed", "elsewhere")] = Nobody,
        [Name("deposed", "deposed")] = Nobody,
    };

    /// <summary>
    /// Possible, and so rare that 20,000 runs have been without: the source's part of the protection has ended before the target's. The
    /// old disks were deleted, and the target's host loses power between the two steps of the end; or the target was away, and hears of a
    /// claim only then.
    /// </summary>
    private static readonly HashSet<string> _rare = [Name("has none", "unsure"), Name("has none", "deposed")];

    private const string Nobody = "nobody would own the VM: who owned it has given it away, or heard of who owns it";

    private readonly SortedDictionary<string, long> _reached = new(StringComparer.Ordinal);

    /// <summary>Every command in every state of the life cycle's table.</summary>
    public static IReadOnlyList<string> AllPairs { get; } =
        [.. LifeCycle.States.SelectMany(state => Enum.GetValues<VmCommand>().Select(command => Name(state, command)))];

    /// <summary>Everything that the two sides could say at the same time.</summary>
    public static IReadOnlyList<string> AllOwners { get; } = [.. _words.SelectMany(source => _words.Select(target => Name(source, target)))];

    /// <summary>The command was refused there, or a job was made of it.</summary>
    public void Pair(ProtectionState state, VmCommand command) => Add(Name(state, command), 1);

    /// <summary>What the two sides say at the same time of who owns a VM.</summary>
    public void Owners(string source, string target) => Add(Name(source, target), 1);

    /// <summary>What was reached although it cannot be.</summary>
    public IEnumerable<string> Impossible => _reached.Keys.Where(_impossible.ContainsKey);

    public void AddAll(Coverage other)
    {
        foreach ((string name, long count) in other._reached)
        {
            Add(name, count);
        }
    }

    /// <summary>What was not reached although there is no reason why not, but for what is rare.</summary>
    public IEnumerable<string> Missing(IEnumerable<string> wanted) => wanted.Where(name => !_reached.ContainsKey(name) && !_impossible.ContainsKey(name) && !_rare.Contains(name));

    public void Print(TextWriter writer)
    {
        foreach (string pair in AllOwners)
        {
            writer.WriteLine(_impossible.TryGetValue(pair, out string? reason) && !_reached.ContainsKey(pair)
                ? $"  {pair,-50}{"never",8}: {reason}"
                : $"  {pair,-50}{_reached.GetValueOrDefault(pair),8}");
        }

        (string Pair, long Count)[] rare = [.. AllPairs.Select(pair => (pair, _reached.GetValueOrDefault(pair))).OrderBy(pair => pair.Item2).Take(8)];
        writer.WriteLine($"  {AllPairs.Count - Missing(AllPairs).Count()} of {AllPairs.Count} pairs of state and command; the rarest: "
            + string.Join(", ", rare.Select(pair => $"{pair.Pair} {pair.Count}")));
    }

    private static string Name(ProtectionState state, VmCommand command) => $"{state} x {LifeCycle.WordOf(command)}";

    private static string Name(string source, string target) => $"source {source}, target {target}";

    private void Add(string name, long count) => _reached[name] = _reached.GetValueOrDefault(name) + count;
}
