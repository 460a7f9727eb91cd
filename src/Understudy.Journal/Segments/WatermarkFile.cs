using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;

namespace Understudy.Journal.Segments;

/// <summary>How much the mark that was found can be relied on (docs/formats/segment.md, "Recovery").</summary>
internal enum MarkTrust
{
    /// <summary>Both slots whole: what is after the mark was never acknowledged.</summary>
    Certain,

    /// <summary>A slot is bad or the file is gone: there may have been a later mark, so nothing may be cut.</summary>
    Doubtful,
}

/// <summary>
/// The <c>flushed</c> file of a folder of segments: two slots written in turn. One caller at a time. A failed write or
/// flush kills it; opening the folder anew recovers.
/// </summary>
internal sealed class WatermarkFile : IAsyncDisposable
{
    public const int FileBytes = 2 * SlotBytes;

    private const int SlotBytes = 4096;

    private readonly IStoreFile _file;
    private readonly ReplicaId _replica;
    private readonly byte[] _buffer = new byte[Watermark.SizeBytes];

    private WatermarkFile(IStoreFile file, ReplicaId replica, Watermark current)
    {
        _file = file;
        _replica = replica;
        Current = current;
    }

    public Watermark Current { get; private set; }

    public static string NameOf(string prefix) => prefix + "flushed";

    /// <summary>Writes both slots anew, the same mark with two counts, and makes them durable, name and all.</summary>
    public static async ValueTask<WatermarkFile> CreateAsync(
        IFileStore store, string prefix, ReplicaId replica, Watermark mark, CancellationToken cancellationToken)
    {
        await store.DeleteAsync(NameOf(prefix), cancellationToken);
        IStoreFile file = await store.OpenAsync(NameOf(prefix), FileOpen.New, cancellationToken);
        try
        {
            byte[] slots = new byte[FileBytes];
            Watermark even = mark with { Count = mark.Count + (mark.Count % 2) };
            Watermark odd = even with { Count = even.Count + 1 };
            even.Write(replica, slots);
            odd.Write(replica, slots.AsSpan(SlotBytes));
            await file.WriteAsync(0, slots, cancellationToken);
            await file.FlushAsync(cancellationToken);
            await store.FlushFolderAsync(SegmentWriter.FolderOf(prefix), cancellationToken);
            return new WatermarkFile(file, replica, odd);
        }
        catch
        {
            await file.DisposeAsync();
            throw;
        }
    }

    /// <summary>Opens a file whose slots are both whole and notes what recovery has made durable.</summary>
    public static async ValueTask<WatermarkFile> ResumeAsync(
        IFileStore store, string prefix, ReplicaId replica, Watermark found, CancellationToken cancellationToken)
    {
        IStoreFile file = await store.OpenAsync(NameOf(prefix), FileOpen.Existing, cancellationToken);
        try
        {
            WatermarkFile mark = new(file, replica, found with { Count = found.Count - 1 });
            await mark.AdvanceAsync(found.Segment, found.Offset, found.Sequence);
            return mark;
        }
        catch
        {
            await file.DisposeAsync();
            throw;
        }
    }

    /// <summary>Reads what there is; no mark at all when the file is missing or both slots are bad.</summary>
    public static async ValueTask<(Watermark? Mark, MarkTrust Trust)> ReadAsync(
        IFileStore store, string prefix, ReplicaId replica, CancellationToken cancellationToken)
    {
        IStoreFile file;
        try
        {
            file = await store.OpenAsync(NameOf(prefix), FileOpen.Read, cancellationToken);
        }
        catch (StorageException e) when (e.Kind == FaultKind.Missing)
        {
            return (null, MarkTrust.Doubtful);
        }

        await using (file)
        {
            byte[] slots = new byte[FileBytes];
            int read = await file.ReadAsync(0, slots, cancellationToken);
            Watermark? even = Watermark.TryRead(replica, slots.AsSpan(0, Math.Min(read, SlotBytes)));
            Watermark? odd = read <= SlotBytes ? null : Watermark.TryRead(replica, slots.AsSpan(SlotBytes, read - SlotBytes));
            Watermark? newer = even is null || (odd is { } o && o.Count > even.Value.Count) ? odd : even;
            return (newer, even is null || odd is null ? MarkTrust.Doubtful : MarkTrust.Certain);
        }
    }

    /// <summary>Durable when this returns. Never cancelled half way.</summary>
    public async ValueTask AdvanceAsync(ulong segment, long offset, ulong sequence)
    {
        Watermark next = new(Current.Count + 1, segment, offset, sequence);
        next.Write(_replica, _buffer);
        await _file.WriteAsync((long)(next.Count % 2) * SlotBytes, _buffer, CancellationToken.None);
        await _file.FlushAsync(CancellationToken.None);
        Current = next;
    }

    public ValueTask DisposeAsync() => _file.DisposeAsync();
}
