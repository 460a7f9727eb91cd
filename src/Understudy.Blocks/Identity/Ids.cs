using System.Globalization;

namespace Understudy.Blocks.Identity;

/// <summary>A virtual machine, by its libvirt UUID: the same on both sides, for life.</summary>
public readonly record struct VmId(Guid Value)
{
    public override string ToString() => Value.ToString("D");

    public static bool TryParse(string? text, out VmId id)
    {
        bool ok = Guid.TryParse(text, out Guid value);
        id = new VmId(value);
        return ok;
    }
}

/// <summary>A replica: one VM's base and journal on one host. In every header, so that a file in the wrong folder is seen.</summary>
public readonly record struct ReplicaId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>One hand-over of a VM's ownership from a side to the other; a repeated message of it carries the same id.</summary>
public readonly record struct TransferId(Guid Value)
{
    public override string ToString() => Value.ToString("D");

    public static bool TryParse(string? text, out TransferId id)
    {
        bool ok = Guid.TryParse(text, out Guid value);
        id = new TransferId(value);
        return ok;
    }
}

/// <summary>The kept state of a line that lost.</summary>
public readonly record struct BranchId(Guid Value)
{
    public override string ToString() => Value.ToString("D");

    public static bool TryParse(string? text, out BranchId id)
    {
        bool ok = Guid.TryParse(text, out Guid value);
        id = new BranchId(value);
        return ok;
    }
}

/// <summary>A disk of a VM by its number in the replica's geometry; never reused within a replica.</summary>
public readonly record struct DiskId(ushort Value) : IComparable<DiskId>
{
    public int CompareTo(DiskId other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>
/// One uninterrupted history of a VM under one owner. The counter orders lines, the random part tells two lines apart
/// that were minted with the same counter on both sides of a cut. Text form: <c>3-9f86d081884c7d659a2feaa0c55ad015</c>.
/// </summary>
/// <remarks>Lines are in one order everywhere: by counter, and for two of the same counter by the random part, so that both
/// sides of a healed cut agree without a word which of them lost.</remarks>
public readonly record struct LineId(uint Counter, UInt128 Random) : IComparable<LineId>
{
    public static LineId None => default;

    public bool IsNewerThan(LineId other) => CompareTo(other) > 0;

    public int CompareTo(LineId other) => Counter != other.Counter ? Counter.CompareTo(other.Counter) : Random.CompareTo(other.Random);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Counter}-{Random:x32}");

    public static bool TryParse(string? text, out LineId line)
    {
        line = default;
        if (text is null || text.IndexOf('-', StringComparison.Ordinal) is var dash && (dash < 1 || text.Length != dash + 33))
        {
            return false;
        }

        if (!uint.TryParse(text.AsSpan(0, dash), NumberStyles.None, CultureInfo.InvariantCulture, out uint counter)
            || !UInt128.TryParse(text.AsSpan(dash + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out UInt128 random))
        {
            return false;
        }

        line = new LineId(counter, random);
        return true;
    }
}

/// <summary>A recovery point: line and sequence number of its checkpoint record. Time is a label, never an identity.
/// Text form: <c>3-9f86d081884c7d659a2feaa0c55ad015:1234</c>.</summary>
public readonly record struct RecoveryPointId(LineId Line, ulong Sequence)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Line}:{Sequence}");

    public static bool TryParse(string? text, out RecoveryPointId id)
    {
        id = default;
        if (text is null || text.LastIndexOf(':') is var colon && colon < 0
            || !LineId.TryParse(text[..colon], out LineId line)
            || !ulong.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ulong sequence))
        {
            return false;
        }

        id = new RecoveryPointId(line, sequence);
        return true;
    }
}
