using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;
using Understudy.Model;

namespace Understudy.CommandLine;

/// <summary>What is wrong with a command line, in the words of its reader: what to write, with an example.</summary>
internal static partial class WrongUse
{
    /// <summary>The parser names types of the program's where a value is not of its kind; what it says otherwise is left as it is.</summary>
    public static string Explain(ParseError error)
    {
        if (!TypeName().IsMatch(error.Message))
        {
            return error.Message;
        }

        (string name, Type type) = error.SymbolResult switch
        {
            OptionResult option => (option.Option.Name, option.Option.ValueType),
            ArgumentResult { Parent: OptionResult option } => (option.Option.Name, option.Option.ValueType),
            ArgumentResult argument => ($"<{argument.Argument.Name}>", argument.Argument.ValueType),
            _ => ("it", typeof(string)),
        };
        string given = error.SymbolResult is { Tokens: [var token, ..] } ? $"'{token.Value}'" : "what is given";
        return $"{name} does not take {given}: write {Example(Nullable.GetUnderlyingType(type) ?? type)}";
    }

    /// <summary>A word that may be left out takes a misspelt option for itself. After "--" all words are names, and a name may begin
    /// with a dash: the parser's validators are not told of it, so it is looked at when all is parsed.</summary>
    public static string? Misspelt(ParseResult parse)
    {
        bool namesOnly = false;
        foreach (Token token in parse.Tokens)
        {
            namesOnly |= token.Type == TokenType.DoubleDash;
            if (!namesOnly && token is { Type: TokenType.Argument, Value: ['-', ..] }
                && parse.CommandResult.Children.OfType<ArgumentResult>().Any(result => result.Argument.Arity.MinimumNumberOfValues == 0 && result.Tokens.Any(own => own.Value == token.Value)))
            {
                return $"Unrecognized option '{token.Value}'.";
            }
        }

        return null;
    }

    /// <summary>Nothing is a name, a file or a place, and what comes of it further on is hard to understand.</summary>
    /// <exception cref="ErrorException">An argument or option is empty.</exception>
    public static void RefuseEmpty(ParseResult parse)
    {
        foreach (SymbolResult result in parse.CommandResult.Children)
        {
            if (!result.Tokens.Any(token => string.IsNullOrWhiteSpace(token.Value)))
            {
                continue;
            }

            (string name, string? means) = result switch
            {
                ArgumentResult argument => ($"<{argument.Argument.Name}>", argument.Argument.Description),
                OptionResult option => (option.Option.Name, option.Option.Description),
                _ => ("a word", null),
            };
            throw new ErrorException(Errors.MissingValue(name) with { What = $"{name} is empty", Next = $"Give it: {means?.TrimEnd('.')}." });
        }
    }

    /// <summary>REST's names of fields, where this command has an option of that name.</summary>
    public static ErrorInfo InWordsOf(Command command, ErrorInfo error)
    {
        string field = error.What.Split(' ', 2)[0];
        string option = "--" + Capital().Replace(field, letter => $"-{char.ToLowerInvariant(letter.Value[0])}");
        return command.Options.Any(known => known.Name == option) ? error with { What = option + error.What[field.Length..] } : error;
    }

    private static string Example(Type type) => type == typeof(DateTimeOffset) ? "a time, such as 2026-11-21T22:30Z"
        : type == typeof(bool) ? "true or false"
        : type == typeof(int) ? $"a whole number up to {int.MaxValue}, such as 7"
        : type == typeof(long) ? "a whole number, such as 7"
        : "another value";

    [GeneratedRegex(@"\bSystem\.\w")]
    private static partial Regex TypeName();

    [GeneratedRegex("[A-Z]")]
    private static partial Regex Capital();
}
