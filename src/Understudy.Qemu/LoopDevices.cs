using Understudy.Qemu.Native;
using Understudy.Qemu.Processes;

namespace Understudy.Qemu;

/// <summary>Loop devices of the kernel, found by the file they stand on.</summary>
internal sealed class LoopDevices(QemuSettings settings)
{
    /// <summary>A device goes with its last user, a moment after it was told to.</summary>
    private static readonly TimeSpan GoneWithin = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    /// <summary>Null when none stands on that file.</summary>
    public static string? Find(string file)
    {
        foreach (string loop in Directory.EnumerateDirectories("/sys/block", "loop*"))
        {
            if (BackingOf(loop) == file)
            {
                return "/dev/" + Path.GetFileName(loop);
            }
        }

        return null;
    }

    public async ValueTask<string> EnsureAsync(string file, bool writable, CancellationToken cancellationToken)
    {
        if (Find(file) is { } there)
        {
            return there;
        }

        // Not with --direct-io=on: writes through it to a FUSE export of QEMU arrive in the wrong places (run: Linux 6.18, QEMU 7.2).
        string[] mode = writable ? [] : ["--read-only"];
        string device = await ToolRunner.RequireAsync(
            [settings.LoopProgram, "--find", "--show", "--direct-io=off", .. mode, file], $"{file} cannot be made a device", settings.CommandLimit, cancellationToken);
        return device.Trim();
    }

    /// <summary>Somebody has it for himself: a mounted file system, a volume group, a database.</summary>
    public static bool IsInUse(string device) => !PosixCalls.CanOpenForItself(device);

    /// <summary>False when somebody still reads it: it goes when he has closed it.</summary>
    public async ValueTask<bool> RemoveAsync(string file, CancellationToken cancellationToken)
    {
        if (Find(file) is not { } device)
        {
            return true;
        }

        await ToolRunner.RequireAsync([settings.LoopProgram, "--detach", device], $"{device} cannot be taken away", settings.CommandLimit, cancellationToken);
        long deadline = Environment.TickCount64 + (long)GoneWithin.TotalMilliseconds;
        while (Find(file) is not null)
        {
            if (Environment.TickCount64 > deadline)
            {
                return false;
            }

            await Task.Delay(Look, cancellationToken);
        }

        return true;
    }

    private static string? BackingOf(string loop)
    {
        try
        {
            return File.ReadAllText($"{loop}/loop/backing_file").TrimEnd('\n');
        }
        catch (IOException)
        {
            return null; // Free, or being freed.
        }
    }
}
