using Understudy.CommandLine;

namespace Understudy.Tests.CommandLine;

/// <summary>One run of the command line, in this process, with streams and environment of its own.</summary>
internal sealed record CommandRun(int ExitCode, string Out, string Error)
{
    public static async Task<CommandRun> OfAsync(string[] words, params (string Name, string Value)[] environment)
    {
        StringWriter output = new();
        StringWriter error = new();
        CommandIo io = new(output, error, Interactive: false, environment.ToDictionary(e => e.Name, e => e.Value));
        int exitCode = await Commands.InvokeAsync(words, io);
        return new CommandRun(exitCode, output.ToString(), error.ToString());
    }
}
