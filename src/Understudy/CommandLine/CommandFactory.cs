using System.CommandLine;
using Understudy.Model;

namespace Understudy.CommandLine;

/// <summary>Makes commands that all begin and end alike.</summary>
internal sealed class CommandFactory(CommandIo io)
{
    public delegate Task<ExitCode> Run(CommandContext context, CancellationToken cancellationToken);

    public Command Verb(string name, string description, Run run, params Symbol[] words)
    {
        Command command = new(name, description);
        foreach (Symbol word in words)
        {
            switch (word)
            {
                case Argument argument:
                    command.Arguments.Add(argument);
                    break;
                case Option option:
                    command.Options.Add(option);
                    break;
            }
        }

        command.SetAction(async (parse, cancellationToken) =>
        {
            WrongUse.RefuseEmpty(parse);
            using CommandContext context = new(parse, io);
            return (int)await run(context, cancellationToken);
        });
        return command;
    }

    public static Command Noun(string name, string description, params Command[] verbs)
    {
        Command noun = new(name, description);
        foreach (Command verb in verbs)
        {
            noun.Subcommands.Add(verb);
        }

        return noun;
    }
}
