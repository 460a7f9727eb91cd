using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;

namespace Understudy.Protection.Tests.Source;

public sealed class CaptureReaderTests
{
    /// <summary>A capture that died under its reads was shown as a full spool, and tried again only after half an hour.</summary>
    [Fact]
    public async Task Capture_that_cannot_be_read_is_a_fault_of_the_hypervisor()
    {
        await using var reader = new CaptureReader();
        var disk = new CapturedDisk("vda", BlockSize.Bytes, new DeadDevice());
        HypervisorException fault = await Assert.ThrowsAsync<HypervisorException>(async () => await reader.ReadAsync(
            disk, [new ByteRange(0, BlockSize.Bytes)], (_, _) => ValueTask.CompletedTask, TestContext.Current.CancellationToken));
        Assert.IsType<StorageException>(fault.InnerException);
    }

    private sealed class DeadDevice : IBlockDevice
    {
        public long SizeBytes => BlockSize.Bytes;

        public bool IsReadOnly => true;

        public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            await Task.Yield();
            throw new StorageException(FaultKind.Io, "capture", "the job has ended");
        }

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask FlushAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
