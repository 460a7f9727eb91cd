using Understudy.Blocks;
using Understudy.Nbd;

namespace Understudy.Libvirt.Capture;

/// <summary>
/// A disk at the cut. When the job behind it ended early, the connection only says that it was lost; whoever reads is
/// told the reason instead.
/// </summary>
internal sealed class CapturedContent(LibvirtCapture capture, NbdClient export) : IBlockDevice
{
    public long SizeBytes => export.SizeBytes;

    public bool IsReadOnly => true;

    public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            await export.ReadAsync(offsetBytes, buffer, cancellationToken);
        }
        catch (StorageException failure)
        {
            throw capture.Explain(failure, export);
        }
    }

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        throw new NotSupportedException("a capture is read-only");

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw new NotSupportedException("a capture is read-only");

    public ValueTask FlushAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>The capture owns the connection.</summary>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
