using System.ComponentModel;
using System.Diagnostics;
using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Qemu.Processes;

/// <summary>Runs one command to its end. Output is bounded; a command that is cancelled or late is killed.</summary>
internal static class ToolRunner
{
    /// <summary>More than any answer we ask for; a runaway program cannot fill our memory.</summary>
    private const int LongestOutputChars = 4 * 1024 * 1024;

    public static async ValueTask<ToolResult> RunAsync(IReadOnlyList<string> command, TimeSpan limit, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = new(command[0], command.Skip(1))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = "/",
        };
        start.Environment["LC_ALL"] = "C";

        using Process process = Start(start);
        process.StandardInput.Close();
        using CancellationTokenSource late = new(limit);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            Task<string> output = ReadAsync(process.StandardOutput, either.Token);
            Task<string> errors = ReadAsync(process.StandardError, either.Token);
            await Task.WhenAll(output, errors);
            await process.WaitForExitAsync(either.Token);
            return new ToolResult(process.ExitCode, await output, (await errors).Trim());
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            process.Kill(entireProcessTree: true);
            throw new ImageToolException(FaultClass.Transient, $"{command[0]} did not end within {limit.TotalSeconds:0} s and was killed.");
        }
        catch
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    /// <summary>As <see cref="RunAsync"/>, and any exit code but 0 throws with the program's words.</summary>
    public static async ValueTask<string> RequireAsync(IReadOnlyList<string> command, string what, TimeSpan limit, CancellationToken cancellationToken)
    {
        ToolResult result = await RunAsync(command, limit, cancellationToken);
        return result.ExitCode == 0 ? result.Output : throw Failed(what, result);
    }

    public static ImageToolException Failed(string what, ToolResult result)
    {
        string words = result.Errors.Length == 0 ? $"exit code {result.ExitCode}" : result.Errors;
        bool full = words.Contains("No space left", StringComparison.Ordinal);
        bool locked = words.Contains("lock", StringComparison.Ordinal)
            && (words.Contains("another process", StringComparison.Ordinal) || words.Contains("temporarily unavailable", StringComparison.Ordinal));
        return new ImageToolException(
            locked ? FaultClass.Transient : FaultClass.NeedsOperator,
            $"{what}: {words}",
            full ? "Make room in the storage pool." : locked ? "Another program has the image open; it is tried again." : null);
    }

    internal static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start) ?? throw new InvalidOperationException($"{start.FileName} did not start");
        }
        catch (Win32Exception missing)
        {
            throw new ImageToolException(
                FaultClass.NeedsOperator,
                $"{start.FileName} cannot be started: {missing.Message}",
                "Install QEMU's tools (Debian: qemu-utils, qemu-system-common).",
                missing);
        }
    }

    private static async Task<string> ReadAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        char[] buffer = new char[4096];
        System.Text.StringBuilder text = new();
        while (await reader.ReadAsync(buffer, cancellationToken) is > 0 and var count)
        {
            if (text.Length < LongestOutputChars)
            {
                text.Append(buffer, 0, count);
            }
        }

        return text.ToString();
    }
}

internal sealed record ToolResult(int ExitCode, string Output, string Errors);
