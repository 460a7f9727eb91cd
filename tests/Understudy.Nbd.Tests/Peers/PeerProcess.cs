using System.Diagnostics;
using System.Net.Sockets;

namespace Understudy.Nbd.Tests.Peers;

/// <summary>A program of the NBD world that a test started; it ends with the test, whatever happened.</summary>
internal sealed class PeerProcess : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly Process _process;
    private readonly Task<string> _errors;

    private PeerProcess(Process process)
    {
        _process = process;
        _errors = process.StandardError.ReadToEndAsync();
    }

    public static bool Exists(string program) =>
        Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Join(folder, program)));

    /// <summary>Starts a server and returns when its socket answers.</summary>
    public static async Task<PeerProcess> ServeAsync(string socketPath, string program, params string[] arguments)
    {
        PeerProcess peer = Start(program, arguments);
        using CancellationTokenSource deadline = new(s_patience);
        while (!await AnswersAsync(socketPath))
        {
            if (peer._process.HasExited || deadline.IsCancellationRequested)
            {
                await peer.DisposeAsync();
                Assert.Fail($"{program} does not serve {socketPath}: {await peer._errors}");
            }

            await Task.Delay(5, TestContext.Current.CancellationToken); // Between two looks at the condition.
        }

        return peer;
    }

    /// <summary>Runs a program to its end and returns what it printed; fails the test when it fails.</summary>
    public static async Task<string> RunAsync(string program, params string[] arguments)
    {
        (int exitCode, string output, string errors) = await TryRunAsync(program, arguments);
        Assert.True(exitCode == 0, $"{program} {string.Join(' ', arguments)} ended with {exitCode}: {errors}");
        return output;
    }

    public static async Task<(int ExitCode, string Output, string Errors)> TryRunAsync(string program, params string[] arguments)
    {
        await using PeerProcess peer = Start(program, arguments);
        using CancellationTokenSource deadline = new(s_patience * 3);
        string output = await peer._process.StandardOutput.ReadToEndAsync(deadline.Token);
        await peer._process.WaitForExitAsync(deadline.Token);
        return (peer._process.ExitCode, output, await peer._errors);
    }

    public static PeerProcess Start(string program, params string[] arguments) => new(Process.Start(
        new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!);

    /// <summary>As a crash ends it: no goodbye.</summary>
    public async Task KillAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            await KillAsync();
        }

        await _errors;
        _process.Dispose();
    }

    private static async Task<bool> AnswersAsync(string path)
    {
        if (!File.Exists(path))
        {
            return false;
        }

        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
