using System.Diagnostics;

namespace Understudy.Qemu.Processes;

/// <summary>A program that runs beside us until we are done with it, with the last words it said.</summary>
internal sealed class ServingTool : IAsyncDisposable
{
    private const int LongestWordsChars = 4096;

    private readonly Process _process;
    private readonly string _socketPath;
    private readonly Task<string> _words;

    private ServingTool(Process process, string socketPath)
    {
        _process = process;
        _socketPath = socketPath;
        _words = ReadAsync(process.StandardError);
    }

    public bool HasEnded => _process.HasExited;

    /// <param name="socketPath">Where it listens; removed with it.</param>
    public static ServingTool Start(IReadOnlyList<string> command, string socketPath)
    {
        ProcessStartInfo start = new(command[0], command.Skip(1))
        {
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = "/",
        };
        start.Environment["LC_ALL"] = "C";
        return new ServingTool(ToolRunner.Start(start), socketPath);
    }

    /// <summary>Ends it, if it has not ended, and says what it said.</summary>
    public async Task<string> EndAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _process.WaitForExitAsync();
        string words = await _words;
        File.Delete(_socketPath);
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
