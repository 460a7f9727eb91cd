namespace Understudy.Journal;

/// <summary>Something that needs a point to stay readable after apply has passed it, and after a restart.</summary>
public readonly record struct PinId(Guid Value) : IComparable<PinId>
{
    public int CompareTo(PinId other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString("D");

    public static bool TryParse(string? text, out PinId id)
    {
        bool ok = Guid.TryParseExact(text, "D", out Guid value);
        id = new PinId(value);
        return ok;
    }
}
