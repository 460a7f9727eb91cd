using System.Globalization;

namespace Understudy.Testing.Simulation;

/// <summary>
/// What happened, as a running hash and, when a writer is given, as text. Two runs of a seed are the same run exactly
/// when their hashes are equal.
/// </summary>
public sealed class SimTrace(TextWriter? writer = null)
{
    private const ulong FnvPrime = 0x100000001B3;
    private readonly TextWriter? _writer = writer;

    public ulong Hash { get; private set; } = 0xCBF29CE484222325;

    /// <summary>Things that happened in the models: operations on disks and links, writes of guests, faults, checks.</summary>
    public long Events { get; private set; }

    /// <summary>True when somebody reads the text; ask before formatting anything.</summary>
    public bool IsText => _writer is not null;

    /// <summary>One scheduler step: only hashed.</summary>
    internal void Step(int process, long nowTicks, int readyCount)
    {
        Fold((ulong)process);
        Fold((ulong)nowTicks);
        Fold((ulong)readyCount);
    }

    /// <summary>One event. The words must not depend on anything but the seed (no hash codes, no addresses).</summary>
    public void Event(long nowTicks, string who, string what, string subject = "", long first = 0, long second = 0)
    {
        Events++;
        Fold(who);
        Fold(what);
        Fold(subject);
        Fold((ulong)first);
        Fold((ulong)second);
        _writer?.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{nowTicks / 1e7,12:F6} {who,-14} {what} {subject} {first} {second}"));
    }

    /// <summary>A remark for the reader of a replay: not part of the hash, not an event.</summary>
    public void Note(long nowTicks, string who, string text) =>
        _writer?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{nowTicks / 1e7,12:F6} {who,-14} | {text}"));

    private void Fold(string text)
    {
        foreach (char c in text)
        {
            Hash = (Hash ^ c) * FnvPrime;
        }
    }

    private void Fold(ulong value)
    {
        Hash = (Hash ^ value) * FnvPrime;
        Hash ^= Hash >> 29;
    }
}
