using System.Runtime.InteropServices;
using Understudy.Blocks.Native;

namespace Understudy.Blocks.Storage;

/// <summary>
/// A raw image file or a block device. Reads and writes go through the page cache; a flush is fdatasync. The size is taken
/// when it is opened and does not follow a resize.
/// </summary>
public sealed class FileBlockDevice : IBlockDevice, IExtentSource
{
    /// <summary>How much is written at once where the file system cannot make zeros itself.</summary>
    private const int ZeroChunkBytes = 1024 * 1024;

    private static readonly byte[] s_zeros = new byte[ZeroChunkBytes];

    private readonly RealFile _file;
    private readonly string _path;

    private FileBlockDevice(RealFile file, string path, long sizeBytes, bool isReadOnly)
    {
        _file = file;
        _path = path;
        SizeBytes = sizeBytes;
        IsReadOnly = isReadOnly;
    }

    public long SizeBytes { get; }

    public bool IsReadOnly { get; }

    public static FileBlockDevice Open(string path, bool readOnly)
    {
        RealFile file = RealFile.Open(path, path, readOnly ? PosixNative.ReadOnly : PosixNative.ReadWrite);
        return new FileBlockDevice(file, path, SizeOf(file), readOnly);
    }

    /// <summary>Makes a new, empty (all hole) raw image; refuses to touch an existing file.</summary>
    public static FileBlockDevice Create(string path, long sizeBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sizeBytes);
        RealFile file = RealFile.Open(path, path, PosixNative.ReadWrite | PosixNative.Create | PosixNative.Exclusive);
        file.SetLength(sizeBytes);
        return new FileBlockDevice(file, path, sizeBytes, isReadOnly: false);
    }

    public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, offsetBytes, buffer.Length);
        int read = await _file.ReadAsync(offsetBytes, buffer, cancellationToken);
        if (read < buffer.Length)
        {
            throw new StorageException(
                FaultKind.Torn, _path, $"the file ends at {offsetBytes + read}, but had {SizeBytes} bytes when it was opened");
        }
    }

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        ThrowIfReadOnly();
        DeviceRange.Check(SizeBytes, offsetBytes, data.Length);
        return _file.WriteAsync(offsetBytes, data, cancellationToken);
    }

    public async ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken)
    {
        ThrowIfReadOnly();
        DeviceRange.Check(SizeBytes, range);
        cancellationToken.ThrowIfCancellationRequested();
        if (range.IsEmpty)
        {
            return;
        }

        bool done = false;
        await _file.RunAsync("zero", file => done = TryDeallocate(file, range));
        while (!done && !range.IsEmpty)
        {
            int length = (int)Math.Min(range.LengthBytes, ZeroChunkBytes);
            await _file.WriteAsync(range.OffsetBytes, s_zeros.AsMemory(0, length), cancellationToken);
            range = ByteRange.FromTo(range.OffsetBytes + length, range.EndBytes);
        }
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        if (!IsReadOnly)
        {
            await _file.FlushAsync(cancellationToken);
        }
    }

    public async ValueTask<IReadOnlyList<BlockExtent>> GetExtentsAsync(ByteRange range, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, range);
        cancellationToken.ThrowIfCancellationRequested();
        List<BlockExtent> extents = [];
        await _file.RunAsync("extents", file => FindExtents(file, range, extents));
        return extents;
    }

    public ValueTask DisposeAsync() => _file.DisposeAsync();

    private static unsafe long SizeOf(RealFile file)
    {
        ulong size = 0;
        return PosixNative.IoControl(file.Handle, PosixNative.BlockDeviceSize, &size) == 0 ? checked((long)size) : file.LengthBytes;
    }

    /// <summary>False when this file system or device has neither way (or the range does not fit its sectors).</summary>
    private bool TryDeallocate(RealFile file, ByteRange range)
    {
        foreach (int way in (ReadOnlySpan<int>)[PosixNative.PunchHole, PosixNative.ZeroRange])
        {
            if (PosixNative.FAllocate(file.Handle, way | PosixNative.KeepSize, range.OffsetBytes, range.LengthBytes) == 0)
            {
                return true;
            }

            if (Marshal.GetLastPInvokeError() is not (Errno.NotSupported or Errno.Invalid))
            {
                throw StorageFault.FromLastError(_path, $"zero {range}");
            }
        }

        return false;
    }

    /// <summary>Holes by SEEK_DATA and SEEK_HOLE; where these are unknown (block devices) all is data.</summary>
    private void FindExtents(RealFile file, ByteRange range, List<BlockExtent> extents)
    {
        long at = range.OffsetBytes;
        while (at < range.EndBytes || extents.Count == 0)
        {
            long data = Math.Min(Seek(file, at, PosixNative.SeekData, unknown: at, range.EndBytes), range.EndBytes);
            bool isHole = data > at;
            long end = isHole
                ? data
                : Math.Min(Seek(file, at, PosixNative.SeekHole, unknown: range.EndBytes, range.EndBytes), range.EndBytes);
            extents.Add(new BlockExtent(ByteRange.FromTo(at, end), isHole ? ExtentKind.Hole : ExtentKind.Data));
            at = end;
        }
    }

    /// <summary>The next data or hole; the end of the file when there is none.</summary>
    private long Seek(RealFile file, long at, int whence, long unknown, long end)
    {
        long found = PosixNative.Seek(file.Handle, at, whence);
        return found >= 0
            ? found
            : Marshal.GetLastPInvokeError() switch
            {
                Errno.NoDeviceOrAddress => end,
                Errno.Invalid => unknown,
                _ => throw StorageFault.FromLastError(_path, "extents"),
            };
    }

    private void ThrowIfReadOnly()
    {
        if (IsReadOnly)
        {
            throw new StorageException(FaultKind.Denied, _path, "the device is open for reading only");
        }
    }
}
