using System.CommandLine;
using System.Text.Json;
using Understudy.Api.Json;
using Understudy.Api.Rest;
using Understudy.CommandLine.Nouns;
using Understudy.Model;

namespace Understudy.CommandLine;

/// <summary>The whole command line: one grammar, noun then verb. Only commands that work are here.</summary>
internal static class Commands
{
    public static RootCommand Build(CommandIo io)
    {
        RootCommand root = new("Understudy gives every virtual machine a stand-in at another site.");
        foreach (Option option in GlobalOptions.All)
        {
            root.Options.Add(option);
        }

        CommandFactory make = new(io);
        foreach (Command command in (Command[])
        [
            ServerCommand.Build(make), AgentCommand.Build(make),
            SiteCommands.Build(make), HostCommands.Build(make), NetworkCommands.Build(make), StorageCommands.Build(make), PolicyCommands.Build(make),
            VmCommands.Build(make), PointCommands.Build(make), JobCommands.Build(make), EventCommands.Build(make),
            LocalCommands.Build(make),
            CompletionCommand.Build(make),
        ])
        {
            root.Subcommands.Add(command);
        }

        return root;
    }

    public static async Task<int> InvokeAsync(string[] args, CommandIo io)
    {
        ParseResult parse = Build(io).Parse(args);
        string[] wrong = [.. parse.Errors.Select(WrongUse.Explain), .. WrongUse.Misspelt(parse) is { } option ? [option] : (string[])[]];
        if (wrong.Length > 0)
        {
            foreach (string error in wrong)
            {
                io.Error.WriteLine($"understudy: {error}");
            }

            io.Error.WriteLine("See `understudy --help`, or --help after any command.");
            return (int)ExitCode.WrongUse;
        }

        InvocationConfiguration configuration = new() { EnableDefaultExceptionHandler = false, Output = io.Out, Error = io.Error };
        try
        {
            return await parse.InvokeAsync(configuration);
        }
        catch (ErrorException e)
        {
            return ShowError(WrongUse.InWordsOf(parse.CommandResult.Command, e.Error), io, parse.GetValue(GlobalOptions.Json));
        }
        catch (Exception e) when (SystemFaults.Of(e) is not null)
        {
            return ShowError(SystemFaults.Of(e)!, io, parse.GetValue(GlobalOptions.Json)); // just seen
        }
        catch (OperationCanceledException)
        {
            io.Error.WriteLine("understudy: interrupted; a job that was started goes on in the vault (`understudy job list`)");
            return (int)ExitCode.Failed;
        }
    }

    /// <summary>What, why, what next: on the error stream for people, as an object on the output for programs.</summary>
    public static int ShowError(ErrorInfo error, CommandIo io, bool json)
    {
        if (json)
        {
            io.Out.WriteLine(JsonSerializer.Serialize(ErrorDto.From(error)!, ApiJson.Indented.ErrorDto)); // From is null only for null
        }
        else
        {
            io.Error.WriteLine($"understudy: {error.What}. {error.Why}");
            io.Error.WriteLine($"  {error.Next} ({error.Code})");
        }

        return (int)error.Kind.ToExitCode();
    }
}
