namespace Understudy.Blocks.Storage;

/// <summary>
/// What was written over something that itself is never written: pages of 64 KiB in memory, the rest from below. Changes
/// take turns. What lies beyond the end of what is below reads as zeros.
/// </summary>
/// <param name="below">Fills the whole buffer from the offset.</param>
/// <param name="what">Named when there is too much of it.</param>
internal sealed class MemoryPages(Func<long, Memory<byte>, CancellationToken, ValueTask> below, string what)
{
    /// <summary>256 MiB: an interrupted batch of an apply and the tails that an opening cuts are a tenth of it.</summary>
    public const int MaxPages = 4096;

    private const int PageBytes = BlockSize.Bytes;

    private readonly AsyncGate _gate = new();
    private readonly Dictionary<long, byte[]> _pages = [];

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        using (await _gate.EnterAsync(cancellationToken))
        {
            if (HasPagesIn(offset, buffer.Length))
            {
                await ReadMixedAsync(offset, buffer, cancellationToken);
                return;
            }
        }

        await below(offset, buffer, cancellationToken); // Nothing of it was written: reads need not take turns.
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        while (data.Length > 0)
        {
            (long page, int at) = Locate(offset);
            int length = Math.Min(PageBytes - at, data.Length);
            byte[] content = await TakeAsync(page, cancellationToken);
            data.Span[..length].CopyTo(content.AsSpan(at));
            (offset, data) = (offset + length, data[length..]);
        }
    }

    /// <summary>As if zeros were written over the range; whole pages of it cost one page each.</summary>
    public async ValueTask ZeroAsync(long offset, long length, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        while (length > 0)
        {
            (long page, int at) = Locate(offset);
            int part = (int)Math.Min(PageBytes - at, length);
            (await TakeAsync(page, cancellationToken)).AsSpan(at, part).Clear();
            (offset, length) = (offset + part, length - part);
        }
    }

    /// <summary>Beyond the offset nothing was ever written.</summary>
    public async ValueTask ForgetFromAsync(long offset, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        (long page, int at) = Locate(offset);
        foreach (long behind in _pages.Keys.Where(number => number > page || (number == page && at == 0)).ToArray())
        {
            _pages.Remove(behind);
        }

        if (_pages.TryGetValue(page, out byte[]? cut))
        {
            cut.AsSpan(at).Clear();
        }
    }

    private static (long Page, int At) Locate(long offset) => (offset / PageBytes, (int)(offset % PageBytes));

    private bool HasPagesIn(long offset, int length)
    {
        for (long page = offset / PageBytes; _pages.Count > 0 && page * PageBytes < offset + length; page++)
        {
            if (_pages.ContainsKey(page))
            {
                return true;
            }
        }

        return false;
    }

    private async ValueTask ReadMixedAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (buffer.Length > 0)
        {
            (long page, int at) = Locate(offset);
            int length = Math.Min(PageBytes - at, buffer.Length);
            if (_pages.TryGetValue(page, out byte[]? content))
            {
                content.AsSpan(at, length).CopyTo(buffer.Span);
            }
            else
            {
                await below(offset, buffer[..length], cancellationToken);
            }

            (offset, buffer) = (offset + length, buffer[length..]);
        }
    }

    private async ValueTask<byte[]> TakeAsync(long page, CancellationToken cancellationToken)
    {
        if (_pages.TryGetValue(page, out byte[]? there))
        {
            return there;
        }

        if (_pages.Count >= MaxPages)
        {
            throw new StorageException(FaultKind.Full, what, $"more than {MaxPages * (long)PageBytes >> 20} MiB would have to be changed in memory");
        }

        byte[] content = new byte[PageBytes];
        await below(page * PageBytes, content, cancellationToken);
        _pages.Add(page, content);
        return content;
    }
}
