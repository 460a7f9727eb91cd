using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;

namespace Understudy.Qemu.Tests;

/// <summary>A short temporary folder with adapters on it; ends every daemon that was started in it.</summary>
public sealed class QemuFolder : IAsyncDisposable
{
    public QemuFolder()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/qemu-storage-daemon"), "needs qemu-storage-daemon (Debian: qemu-system-common)");
        Assert.SkipUnless(Environment.UserName == "root", "needs root, to give sockets to other users");
        Path = Directory.CreateTempSubdirectory("us-qemu-").FullName;
        Settings = new QemuSettings { DaemonFolder = At("daemons"), GuestUser = "nobody" };
        Images = new ImageTool(Settings);
        Daemons = NewDaemons();
    }

    public string Path { get; }

    public QemuSettings Settings { get; }

    public ImageTool Images { get; }

    public StorageDaemons Daemons { get; }

    public string At(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>What an agent that was started anew has.</summary>
    public StorageDaemons NewDaemons() => new(Settings, NullLogger<StorageDaemons>.Instance);

    /// <summary>A program's output; fails the test when it does not end with 0.</summary>
    public static async Task<string> Run(params string[] command)
    {
        (int code, string output) = await TryRun(command);
        Assert.True(code == 0, $"{string.Join(' ', command)}: {output}");
        return output;
    }

    public static async Task<(int Code, string Output)> TryRun(params string[] command)
    {
        using Process process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync() + await errors;
        await process.WaitForExitAsync();
        return (process.ExitCode, output);
    }

    /// <summary>kill -9, and returns when the process is really gone.</summary>
    public static async Task Kill(int processId)
    {
        using Process process = Process.GetProcessById(processId);
        process.Kill();
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(5));
        while (Processes.ProcessTable.Find(processId) is not null)
        {
            await timer.WaitForNextTickAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (string name in await Daemons.ListAsync(CancellationToken.None))
        {
            await Daemons.StopAsync(name, At(name + ".sock"), CancellationToken.None);
        }

        Directory.Delete(Path, recursive: true);
    }
}
