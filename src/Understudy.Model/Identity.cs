using System.Globalization;

namespace Understudy.Model;

/// <summary>A place with hosts.</summary>
public readonly record struct SiteId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>A host with an agent; the same id is in the agent's certificate (<c>urn:understudy:agent:ID</c>).</summary>
public readonly record struct HostId(Guid Value)
{
    public override string ToString() => Value.ToString("D");

    public static bool TryParse(string? text, out HostId id)
    {
        bool ok = Guid.TryParse(text, out Guid value);
        id = new HostId(value);
        return ok;
    }
}

/// <summary>A job, by the number people use for it.</summary>
public readonly record struct JobId(long Value)
{
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>One test of a VM.</summary>
public readonly record struct TestId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>One point or branch given out: mounted on a host or attached to a VM.</summary>
public readonly record struct MountId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>One command to an agent. Sent twice, it is done once and answered twice with the first outcome.</summary>
public readonly record struct OperationId(Guid Value)
{
    /// <summary>The same command once more after it failed: another identity, the same one for the same attempt, also after
    /// a restart of whoever counts.</summary>
    /// <param name="attempt">1 to 255.</param>
    public OperationId Again(byte attempt)
    {
        Span<byte> bytes = stackalloc byte[16];
        Value.TryWriteBytes(bytes);
        bytes[^1] ^= attempt; // ids are random: no other is one bit away
        return new OperationId(new Guid(bytes));
    }

    public override string ToString() => Value.ToString("D");
}
