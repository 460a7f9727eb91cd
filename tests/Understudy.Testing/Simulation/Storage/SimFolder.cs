namespace Understudy.Testing.Simulation.Storage;

/// <summary>
/// Names in one folder, as a running system sees them, and the changes to them that the disk may not know yet. After a
/// power loss a prefix of the changes (a journalling file system) or any subset of them (what POSIX promises) is there.
/// </summary>
internal sealed class SimFolder
{
    private readonly List<NameChange> _unflushed = [];
    private readonly SortedDictionary<string, object> _durable = new(StringComparer.Ordinal);

    /// <summary>File (<see cref="SimContent"/>) or folder, by name.</summary>
    public SortedDictionary<string, object> Entries { get; private set; } = new(StringComparer.Ordinal);

    /// <summary>What has that name on the disk; null when nothing has.</summary>
    public object? FindDurable(string name) => _durable.GetValueOrDefault(name);

    public void Link(string name, object node) => Apply(new NameChange(null, name, node));

    public void Unlink(string name) => Apply(new NameChange(name, null, Entries[name]));

    public void Rename(string from, string to) => Apply(new NameChange(from, to, Entries[from]));

    public void Flush()
    {
        foreach (NameChange change in _unflushed)
        {
            change.ApplyTo(_durable);
        }

        _unflushed.Clear();
    }

    public void Lose(SimRandom random)
    {
        bool inOrder = random.Chance(0.5);
        double keep = random.Next(3) switch { 0 => 0.0, 1 => 1.0, _ => random.NextFraction() };
        foreach (NameChange change in _unflushed)
        {
            if (random.Chance(keep))
            {
                change.ApplyTo(_durable);
            }
            else if (inOrder)
            {
                break;
            }
        }

        _unflushed.Clear();
        Entries = new SortedDictionary<string, object>(_durable, StringComparer.Ordinal);
        foreach (object node in Entries.Values)
        {
            switch (node)
            {
                case SimContent content:
                    content.Lose(random);
                    break;
                case SimFolder folder:
                    folder.Lose(random);
                    break;
            }
        }
    }

    public long TotalBytes() => Entries.Values.Sum(node => node switch
    {
        SimContent content => content.LengthBytes,
        SimFolder folder => folder.TotalBytes(),
        _ => 0,
    });

    private void Apply(NameChange change)
    {
        change.ApplyTo(Entries);
        _unflushed.Add(change);
    }

    private readonly record struct NameChange(string? From, string? To, object Node)
    {
        public void ApplyTo(SortedDictionary<string, object> names)
        {
            if (From is not null && names.TryGetValue(From, out object? there) && there == Node)
            {
                names.Remove(From);
            }

            if (To is not null)
            {
                names[To] = Node;
            }
        }
    }
}
