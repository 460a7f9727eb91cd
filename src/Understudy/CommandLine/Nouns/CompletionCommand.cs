using System.CommandLine;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>Tab completion: the shell asks this program what could come next (System.CommandLine's suggest directive).</summary>
internal static class CompletionCommand
{
    private static readonly Argument<string> _shell = new("shell") { Description = "bash or zsh" };

    private const string Bash = """
        _understudy() {
            local IFS=$'\n'
            COMPREPLY=($(compgen -W "$(understudy "[suggest:$COMP_POINT]" "$COMP_LINE" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -F _understudy understudy
        """;

    private const string Zsh = """
        #compdef understudy
        _understudy() {
            compadd -- ${(f)"$(understudy "[suggest:$CURSOR]" "$BUFFER" 2>/dev/null)"}
        }
        compdef _understudy understudy
        """;

    public static Command Build(CommandFactory make) => make.Verb(
        "completion", "Print the completion script of a shell: eval \"$(understudy completion bash)\"", RunAsync, _shell);

    private static Task<ExitCode> RunAsync(CommandContext c, CancellationToken ct)
    {
        string script = c.Get(_shell) switch
        {
            "bash" => Bash,
            "zsh" => Zsh,
            var other => throw new ErrorException(Errors.BadValue("shell", other, "completion knows bash and zsh")),
        };
        c.Io.Out.WriteLine(script);
        return Task.FromResult(ExitCode.Done);
    }
}
