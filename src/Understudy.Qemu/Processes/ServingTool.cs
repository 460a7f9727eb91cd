using System.Diagnostics;

namespace Understudy.Qemu.Processes;

/// <summary>A program that runs beside us until we are done with it, with the last words it said.</summary>
internal sealed class ServingTool : IAsyncDisposable
{
    private const int LongestWordsChars = 4096;

    /// <summary>A killed process ends at once, unless the kernel keeps it in the middle of a disk operation.</summary>
    private static readonly TimeSpan KillLimit = TimeSpan.FromSeconds(5);

    private readonly Process _process;
    private readonly string _socketPath;
    private readonly Task<string> _words;
    private readonly Action<Process> _kill;

    private ServingTool(Process process, string socketPath, Action<Process> kill)
    {
        _process = process;
        _kill = kill;
        _socketPath = socketPath;
        _words = ReadAsync(process.StandardError);
    }

    public bool HasEnded => _process.HasExited;

    /// <param name="socketPath">Where it listens; removed with it.</param>
    public static ServingTool Start(IReadOnlyList<string> command, string socketPath) =>
        Start(command, socketPath, static process => process.Kill(entireProcessTree: true));

    internal static ServingTool Start(IReadOnlyList<string> command, string socketPath, Action<Process> kill)
    {
        ProcessStartInfo start = new(command[0], command.Skip(1))
        {
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = "/",
        };
        start.Environment["LC_ALL"] = "C";
        return new ServingTool(ToolRunner.Start(start), socketPath, kill);
    }

    /// <summary>Ends it, if it has not ended, and says what it said. One that a disk which hangs keeps from ending is left to the
    /// kernel: it holds nothing that anybody else waits for.</summary>
    public async Task<string> EndAsync()
    {
        if (!_process.HasExited)
        {
            _kill(_process);
        }

        File.Delete(_socketPath);
        string words;
        try
        {
            using CancellationTokenSource late = new(KillLimit);
            await _process.WaitForExitAsync(late.Token);
            words = await _words.WaitAsync(late.Token);
        }
        catch (OperationCanceledException)
        {
            return $"process {_process.Id} does not end although it was killed: the disk or share below it does not answer";
        }

        return words.Length == 0 ? $"exit code {_process.ExitCode}" : words;
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _process.Dispose();
    }

    private static async Task<string> ReadAsync(StreamReader reader)
    {
        string words = "";
        while (await reader.ReadLineAsync() is { } line)
        {
            words = words.Length < LongestWordsChars ? $"{words} {line}".Trim() : words;
        }

        return words;
    }
}
