namespace Understudy.Testing.Simulation.Storage;

/// <summary>
/// The bytes of one file or disk, as the page cache shows them, with what it takes to go back to what the disk holds:
/// an undo entry for each change since the last flush. A power loss decides for every 512-byte sector on its own which
/// of its versions since the flush is on the disk, and which of the lengths; a flush forgets the undo entries that are
/// older than its beginning. A failed flush leaves some of the sectors clean in the cache although the disk never got
/// them (as Linux does): they read back well, no later flush writes them, and the next power loss shows the old ones.
/// </summary>
internal sealed class SimContent
{
    internal const int SectorBytes = 512;
    private const int PageBytes = 8 * 1024;
    private readonly List<byte[]?> _pages = [];
    private readonly List<Change> _unflushed = [];
    private readonly SortedDictionary<long, byte[]> _cleanButLost = [];
    private long _changeNumber;

    public long LengthBytes { get; private set; }

    /// <summary>Give it to <see cref="Flush"/>: writes that arrive while a flush runs are not covered by it.</summary>
    public long LastChange => _changeNumber;

    public int Read(long offset, Span<byte> buffer)
    {
        int count = (int)Math.Clamp(LengthBytes - offset, 0, buffer.Length);
        Copy(offset, buffer[..count]);
        return count;
    }

    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        if (data.IsEmpty)
        {
            return;
        }

        Remember(offset, data.Length);
        LengthBytes = Math.Max(LengthBytes, offset + data.Length);
        Put(offset, data);
    }

    public void Zero(long offset, long length)
    {
        Remember(offset, length);
        PutZeros(offset, length);
    }

    public void SetLength(long length)
    {
        Remember(length, Math.Max(0, LengthBytes - length));
        if (length < LengthBytes)
        {
            PutZeros(length, LengthBytes - length);
        }

        LengthBytes = length;
    }

    public void Flush(long upToChange)
    {
        if (_cleanButLost.Count > 0)
        {
            foreach (Change change in _unflushed.Where(c => c.Number <= upToChange))
            {
                foreach (long sector in SectorsOf(change))
                {
                    _cleanButLost.Remove(sector); // Written again since: this time it arrived.
                }
            }
        }

        _unflushed.RemoveAll(change => change.Number <= upToChange);
    }

    /// <summary>A flush failed: what was dirty is dropped from the cache, or only looks as if it were on the disk.</summary>
    public void FailFlush(SimRandom random)
    {
        if (random.Chance(0.5))
        {
            Lose(random);
            return;
        }

        double arrived = random.NextFraction();
        for (int i = _unflushed.Count - 1; i >= 0; i--)
        {
            foreach (long sector in SectorsOf(_unflushed[i]))
            {
                if (!random.Chance(arrived))
                {
                    _cleanButLost.TryAdd(sector, SectorBefore(sector));
                }
            }
        }

        _unflushed.Clear();
    }

    /// <summary>The disk's truth takes the place of the cache's: at power loss, and for dirty pages after a failed flush.</summary>
    public void Lose(SimRandom random)
    {
        if (_unflushed.Count == 0 && _cleanButLost.Count == 0)
        {
            return;
        }

        double keepWrite = random.Next(4) switch { 0 => 0.0, 1 => 1.0, _ => random.NextFraction() };
        double keepSector = random.Chance(0.5) ? 0.0 : random.NextFraction();
        long length = _unflushed.Count == 0 || random.Chance(keepWrite) ? LengthBytes : random.Pick(_unflushed).OldLengthBytes;
        var kept = new HashSet<long>();
        for (int i = _unflushed.Count - 1; i >= 0; i--)
        {
            Undo(_unflushed[i], random.Chance(keepWrite) ? 1.0 : keepSector, random, kept);
        }

        _unflushed.Clear();
        foreach ((long sector, byte[] old) in _cleanButLost)
        {
            if (!kept.Contains(sector) && sector * SectorBytes < LengthBytes)
            {
                Put(sector * SectorBytes, old);
            }
        }

        _cleanButLost.Clear();
        if (length < LengthBytes)
        {
            PutZeros(length, LengthBytes - length);
        }

        LengthBytes = length;
    }

    /// <summary>The bytes that were flushed.</summary>
    public byte[] ReadDurable()
    {
        long length = _unflushed.Count == 0 ? LengthBytes : _unflushed[0].OldLengthBytes;
        byte[] bytes = new byte[length];
        for (long start = 0; start < length; start += SectorBytes)
        {
            byte[] sector = _cleanButLost.GetValueOrDefault(start / SectorBytes) ?? SectorBefore(start / SectorBytes);
            sector.AsSpan(0, (int)Math.Min(SectorBytes, length - start)).CopyTo(bytes.AsSpan((int)start));
        }

        return bytes;
    }

    /// <summary>Silent damage at rest.</summary>
    public void Flip(long offset, byte mask)
    {
        Span<byte> one = stackalloc byte[1];
        Copy(offset, one);
        one[0] ^= mask;
        Put(offset, one);
    }

    private static IEnumerable<long> SectorsOf(Change change)
    {
        for (long sector = change.Offset / SectorBytes; sector * SectorBytes < change.Offset + change.LengthBytes; sector++)
        {
            yield return sector;
        }
    }

    /// <summary>The sector as the disk has it: before every change that is not flushed.</summary>
    private byte[] SectorBefore(long sector)
    {
        byte[] bytes = new byte[SectorBytes];
        long start = sector * SectorBytes;
        Copy(start, bytes);
        for (int i = _unflushed.Count - 1; i >= 0; i--)
        {
            Change change = _unflushed[i];
            long from = Math.Max(start, change.Offset);
            long to = Math.Min(start + SectorBytes, change.Offset + change.LengthBytes);
            for (long at = from; at < to; at++)
            {
                long inOld = at - change.Offset;
                bytes[at - start] = inOld < change.Old.Length ? change.Old[inOld] : (byte)0;
            }
        }

        return bytes;
    }

    private void Undo(Change change, double keep, SimRandom random, HashSet<long> kept)
    {
        long end = change.Offset + change.LengthBytes;
        Span<byte> old = stackalloc byte[SectorBytes];
        for (long sector = change.Offset / SectorBytes; sector * SectorBytes < end; sector++)
        {
            if (kept.Contains(sector) || random.Chance(keep))
            {
                kept.Add(sector);
                continue;
            }

            long from = Math.Max(change.Offset, sector * SectorBytes);
            int count = (int)(Math.Min(end, (sector + 1) * SectorBytes) - from);
            old.Clear();
            int start = (int)(from - change.Offset);
            if (start < change.Old.Length)
            {
                change.Old.AsSpan(start, Math.Min(count, change.Old.Length - start)).CopyTo(old);
            }

            Put(from, old[..count]);
        }
    }

    private void Remember(long offset, long length)
    {
        int oldCount = (int)Math.Clamp(LengthBytes - offset, 0, length);
        byte[] old = oldCount == 0 ? [] : GC.AllocateUninitializedArray<byte>(oldCount);
        Copy(offset, old);
        _unflushed.Add(new Change(++_changeNumber, offset, length, old, LengthBytes));
    }

    private void Copy(long offset, Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            (byte[]? page, int at, int count) = Locate(offset, buffer.Length);
            if (page is null)
            {
                buffer[..count].Clear();
            }
            else
            {
                page.AsSpan(at, count).CopyTo(buffer);
            }

            buffer = buffer[count..];
            offset += count;
        }
    }

    private void Put(long offset, ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            int index = (int)(offset / PageBytes);
            while (_pages.Count <= index)
            {
                _pages.Add(null);
            }

            byte[] page = _pages[index] ??= new byte[PageBytes];
            int at = (int)(offset % PageBytes);
            int count = Math.Min(data.Length, PageBytes - at);
            data[..count].CopyTo(page.AsSpan(at));
            data = data[count..];
            offset += count;
        }
    }

    private void PutZeros(long offset, long length)
    {
        while (length > 0)
        {
            (byte[]? page, int at, int count) = Locate(offset, length);
            page?.AsSpan(at, count).Clear();
            offset += count;
            length -= count;
        }
    }

    private (byte[]? Page, int At, int Count) Locate(long offset, long length)
    {
        int index = (int)(offset / PageBytes);
        int at = (int)(offset % PageBytes);
        return (index < _pages.Count ? _pages[index] : null, at, (int)Math.Min(length, PageBytes - at));
    }

    /// <param name="Old">What was there, shorter than the change where it went beyond the old end.</param>
    private readonly record struct Change(long Number, long Offset, long LengthBytes, byte[] Old, long OldLengthBytes);
}
