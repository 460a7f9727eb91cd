using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Understudy.Blocks.Native;

namespace Understudy.Blocks.Storage;

/// <summary>
/// An open file or block device of the operating system, with the rules both kinds of user need: faults are mapped, and
/// after a flush that failed the file is dead, because the kernel drops the pages it could not write and a second flush
/// would report success. Reads and writes may overlap. Cancellation is honoured before the system call, never inside.
/// </summary>
internal sealed class RealFile : IAsyncDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly string _subject;
    private volatile bool _dead;

    private RealFile(SafeFileHandle handle, string subject)
    {
        _handle = handle;
        _subject = subject;
    }

    public SafeFileHandle Handle => _handle;

    public long LengthBytes
    {
        get
        {
            try
            {
                return RandomAccess.GetLength(_handle);
            }
            catch (Exception exception) when (StorageFault.IsFault(exception))
            {
                throw StorageFault.FromException(exception, _subject, "length");
            }
        }
    }

    public static RealFile Open(string path, string subject, int flags)
    {
        SafeFileHandle handle = PosixNative.Open(path, flags | PosixNative.CloseOnExec, PosixNative.OwnerOnly);
        if (handle.IsInvalid)
        {
            StorageException fault = StorageFault.FromLastError(subject, "open");
            handle.Dispose();
            throw fault;
        }

        return new RealFile(handle, subject);
    }

    /// <summary>Reads until the buffer is full or the file ends.</summary>
    public async ValueTask<int> ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ThrowIfDead();
        try
        {
            int total = 0;
            while (total < buffer.Length)
            {
                int read = await RandomAccess.ReadAsync(_handle, buffer[total..], offsetBytes + total, cancellationToken);
                if (read == 0)
                {
                    break;
                }

                total += read;
            }

            return total;
        }
        catch (Exception exception) when (StorageFault.IsFault(exception))
        {
            throw StorageFault.FromException(exception, _subject, $"read of {buffer.Length} bytes at {offsetBytes}");
        }
    }

    public async ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        ThrowIfDead();
        try
        {
            await RandomAccess.WriteAsync(_handle, data, offsetBytes, cancellationToken);
        }
        catch (Exception exception) when (StorageFault.IsFault(exception))
        {
            throw StorageFault.FromException(exception, _subject, $"write of {data.Length} bytes at {offsetBytes}");
        }
    }

    public void SetLength(long lengthBytes)
    {
        ThrowIfDead();
        try
        {
            RandomAccess.SetLength(_handle, lengthBytes);
        }
        catch (Exception exception) when (StorageFault.IsFault(exception))
        {
            throw StorageFault.FromException(exception, _subject, $"set length to {lengthBytes}");
        }
    }

    /// <summary>Once started it runs to its end: what a flush has done cannot be taken back.</summary>
    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        ThrowIfDead();
        cancellationToken.ThrowIfCancellationRequested();
        await RunAsync("flush", static file => file.EndFlush(PosixNative.FDataSync(file._handle)));
    }

    /// <summary>With everything about it (fsync): for folders. Blocks.</summary>
    public void FlushAll() => EndFlush(PosixNative.FSync(_handle));

    /// <summary>Runs a blocking system call on this file outside the caller's thread, with faults mapped.</summary>
    public async ValueTask RunAsync(string doing, Action<RealFile> call)
    {
        ThrowIfDead();
        try
        {
            await BlockingCall.RunAsync(() => call(this));
        }
        catch (Exception exception) when (StorageFault.IsFault(exception))
        {
            throw StorageFault.FromException(exception, _subject, doing);
        }
    }

    public ValueTask DisposeAsync()
    {
        _handle.Dispose();
        return ValueTask.CompletedTask;
    }

    private void EndFlush(int result)
    {
        if (result != 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            _dead = true;
            throw StorageFault.FlushFailed(_subject, errno);
        }
    }

    private void ThrowIfDead()
    {
        if (_dead)
        {
            throw StorageFault.Dead(_subject);
        }
    }
}
