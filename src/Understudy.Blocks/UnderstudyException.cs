namespace Understudy.Blocks;

/// <summary>Who can do something about a fault. One place (the retry decision) switches on it.</summary>
public enum FaultClass
{
    /// <summary>Goes away by itself: try again after a pause.</summary>
    Transient,

    /// <summary>A person has to act (space, permission, configuration); trying again costs nothing.</summary>
    NeedsOperator,

    /// <summary>The component must stop: going on could make a wrong replica.</summary>
    Fatal,
}

/// <summary>A fault of the environment: where, what, who can act, and the next sensible step.</summary>
public class UnderstudyException : Exception
{
    public UnderstudyException(FaultClass faultClass, string message, string? remedy = null, Exception? inner = null)
        : base(message, inner)
    {
        Class = faultClass;
        Remedy = remedy;
    }

    public FaultClass Class { get; }

    /// <summary>The next step, as a sentence for the person who reads it; null when there is none to offer.</summary>
    public string? Remedy { get; }
}

/// <summary>What kind of storage fault it was. Torn, corrupt and missing are kept apart on purpose.</summary>
public enum FaultKind
{
    Io,
    FlushFailed,
    Full,
    Missing,
    Exists,
    Corrupt,
    Torn,
    Closed,
    Denied,
}

/// <summary>A fault of a disk or file.</summary>
public sealed class StorageException : UnderstudyException
{
    public StorageException(FaultKind kind, string subject, string message, string? remedy = null, Exception? inner = null)
        : base(ClassOf(kind), $"{subject}: {message}", remedy, inner)
    {
        Kind = kind;
        Subject = subject;
    }

    public FaultKind Kind { get; }

    /// <summary>The file or disk concerned.</summary>
    public string Subject { get; }

    private static FaultClass ClassOf(FaultKind kind) => kind switch
    {
        FaultKind.Io or FaultKind.Closed => FaultClass.Transient,
        FaultKind.Full or FaultKind.Missing or FaultKind.Exists or FaultKind.Denied => FaultClass.NeedsOperator,
        _ => FaultClass.Fatal,
    };
}

/// <summary>A broken invariant: a bug, or memory gone bad. The component stops, in Release too.</summary>
public sealed class InvariantException(string message) : Exception(message);

public static class Invariant
{
    public static void Check(bool holds, string message)
    {
        if (!holds)
        {
            throw new InvariantException(message);
        }
    }
}
