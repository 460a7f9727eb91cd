using System.Globalization;

namespace Understudy.Simulation.Running;

/// <summary>How often what was reached, over all seeds of a run. A zero is as interesting as a violation.</summary>
internal sealed class Counters
{
    private readonly SortedDictionary<string, long> _counts = new(StringComparer.Ordinal);

    public long this[string name] => _counts.GetValueOrDefault(name);

    public void Add(string name, long count = 1) => _counts[name] = this[name] + count;

    public void AddAll(Counters other)
    {
        foreach ((string name, long count) in other._counts)
        {
            Add(name, count);
        }
    }

    public void Print(TextWriter writer)
    {
        foreach ((string name, long count) in _counts)
        {
            writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-40} {count,12}"));
        }
    }
}
