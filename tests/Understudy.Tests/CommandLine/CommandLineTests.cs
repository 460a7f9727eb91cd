using System.CommandLine;
using System.Text.Json;
using Understudy.CommandLine;

namespace Understudy.Tests.CommandLine;

public sealed class CommandLineTests
{
    /// <summary>Nobody listens on the discard port of this machine's own loopback.</summary>
    private static readonly (string, string)[] NobodyThere = [("UNDERSTUDY_VAULT", "https://127.0.0.1:9"), ("UNDERSTUDY_TOKEN", "t")];

    public static TheoryData<string> EveryCommand => [.. Walk(Commands.Build(CommandIo.Console), "")];

    [Theory]
    [MemberData(nameof(EveryCommand))]
    public async Task Every_command_explains_itself(string command)
    {
        CommandRun run = await CommandRun.OfAsync([.. command.Split(' '), "--help"]);

        Assert.Equal(0, run.ExitCode);
        Assert.Contains("Description:", run.Out, StringComparison.Ordinal);
        Assert.Contains("--json", run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("vm protect web1", "--to")]
    [InlineData("vm frobnicate", "frobnicate")]
    [InlineData("site", "Required command")]
    [InlineData("job show seventeen", "seventeen")]
    [InlineData("vm list --frequency 5min", "--frequency")]
    public async Task Wrong_use_ends_with_two_and_names_the_word(string line, string named)
    {
        CommandRun run = await CommandRun.OfAsync(line.Split(' '));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(named, run.Error, StringComparison.Ordinal);
        Assert.Contains("--help", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("job show abc", "<job>", "such as 7")]
    [InlineData("vm protect one --to south --start-at yesterday", "--start-at", "such as 2026-")]
    [InlineData("vm protect one --to south --cpus two", "--cpus", "such as 7")]
    [InlineData("policy set x --branch-days 99999999999", "--branch-days", "such as 7")]
    [InlineData("event list --after x", "--after", "such as 7")]
    public async Task A_value_of_the_wrong_kind_is_answered_with_what_to_write(string line, string name, string example)
    {
        CommandRun run = await CommandRun.OfAsync(line.Split(' '));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(name, run.Error, StringComparison.Ordinal);
        Assert.Contains(example, run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("System.", run.Error, StringComparison.Ordinal);
    }

    /// <summary>libvirt takes such names; "--" says that no options follow.</summary>
    [Theory]
    [InlineData("vm protect --to south -- -rf", true)]
    [InlineData("vm protect --to south -rf", false)]
    [InlineData("vm protect --to south --rf", false)]
    [InlineData("vm verify --to south -- -rf", true)]
    [InlineData("vm list -- -rf", true)]
    [InlineData("vm list --rf", false)]
    [InlineData("vm pause -- --json", true)]
    [InlineData("vm pause --rf", false)]
    public async Task A_name_may_begin_with_a_dash_behind_two_of_them(string line, bool isName)
    {
        CommandRun run = await CommandRun.OfAsync(line.Split(' '), NobodyThere);

        Assert.Equal(isName ? 1 : 2, run.ExitCode);
        Assert.Contains(isName ? "vault-unreachable" : "Unrecognized", run.Error, StringComparison.Ordinal);
    }

    /// <summary>Of every command: each of its words and options that take a text, given as nothing.</summary>
    public static TheoryData<string, string> EveryText => [.. Leaves(Commands.Build(CommandIo.Console), "").SelectMany(leaf =>
        leaf.Command.Arguments.Where(argument => argument.ValueType == typeof(string)).Select(argument => (leaf.Path, argument.Name))
            .Concat(leaf.Command.Options.Where(option => option.ValueType == typeof(string)).Select(option => (leaf.Path, option.Name))))];

    [Theory]
    [MemberData(nameof(EveryText))]
    public async Task Nothing_is_no_value(string command, string symbol)
    {
        CommandRun run = await CommandRun.OfAsync(LineWith(command, symbol, ""), NobodyThere);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("(value-missing)", run.Error, StringComparison.Ordinal);
        Assert.Contains(symbol, run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("vm show")]
    [InlineData("vm verify")]
    [InlineData("vm unprotect")]
    [InlineData("vm test")]
    [InlineData("host show")]
    [InlineData("host check")]
    [InlineData("policy show")]
    [InlineData("policy remove")]
    [InlineData("site remove")]
    [InlineData("site key")]
    [InlineData("point list")]
    public async Task A_path_that_would_be_another_one_is_no_name(string command)
    {
        foreach (string name in (string[])[".", ".."])
        {
            CommandRun run = await CommandRun.OfAsync([.. command.Split(' '), name], NobodyThere);

            Assert.Equal((2, ""), (run.ExitCode, run.Out));
            Assert.Contains($"'{name}' cannot be used", run.Error, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("99999999T", "more than 8 EiB")]
    [InlineData("99999999999999999999B", "more than 8 EiB")]
    [InlineData("-1G", "not negative")]
    [InlineData("much", "such as 4GiB")]
    public async Task A_size_that_cannot_be_is_told_why(string size, string why)
    {
        CommandRun run = await CommandRun.OfAsync(["vm", "protect", "one", "--to", "south", $"--memory={size}"], NobodyThere);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(why, run.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("vm failback web1")]
    [InlineData("vm reverse web1")]
    [InlineData("plan list")]
    public async Task Commands_of_later_versions_do_not_exist(string line)
    {
        Assert.Equal(2, (await CommandRun.OfAsync(line.Split(' '))).ExitCode);
    }

    [Fact]
    public async Task A_vault_that_is_away_is_a_failure_with_a_next_step()
    {
        CommandRun run = await CommandRun.OfAsync(["vm", "list"], NobodyThere);

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("vault-unreachable", run.Error, StringComparison.Ordinal);
        Assert.Contains("understudy server", run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Out);
    }

    [Fact]
    public async Task With_json_an_error_is_an_object_on_the_output()
    {
        CommandRun run = await CommandRun.OfAsync(["vm", "list", "--json"], NobodyThere);

        using JsonDocument error = JsonDocument.Parse(run.Out);
        Assert.Equal("vault-unreachable", error.RootElement.GetProperty("code").GetString());
        Assert.All((string[])["what", "why", "next"], part => Assert.NotEmpty(error.RootElement.GetProperty(part).GetString()!));
    }

    [Theory]
    [InlineData("http://vault")]
    [InlineData("vault")]
    public async Task Only_an_https_address_is_a_vault(string address)
    {
        CommandRun run = await CommandRun.OfAsync(["vm", "list", "--vault", address]);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(address, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_file_that_is_not_there_is_named()
    {
        CommandRun run = await CommandRun.OfAsync(["vm", "list", "--token-file", "/nowhere/admin.token"]);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("/nowhere/admin.token", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_nic_choice_that_is_not_MAC_equals_NETWORK_is_refused_before_the_vault_is_asked()
    {
        CommandRun run = await CommandRun.OfAsync(["vm", "protect", "web1", "--to", "berlin", "--nic", "lan"], NobodyThere);

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("MAC=NETWORK", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bash", "complete -F")]
    [InlineData("zsh", "compdef")]
    public async Task Completion_prints_a_script_for_the_shell(string shell, string part)
    {
        Assert.Contains(part, (await CommandRun.OfAsync(["completion", shell])).Out, StringComparison.Ordinal);
    }

    /// <summary>A line of the command that is whole but for one of its words.</summary>
    private static string[] LineWith(string path, string symbol, string value)
    {
        Command command = Leaves(Commands.Build(CommandIo.Console), "").Single(leaf => leaf.Path == path).Command;
        return
        [
            .. path.Split(' '),
            .. command.Arguments.Select(argument => argument.Name == symbol ? value : argument.ValueType == typeof(string) ? "x" : "7"),
            .. command.Options.Where(option => option.Name == symbol || option.Required)
                .SelectMany(option => (string[])[option.Name, option.Name == symbol ? value : "x"]),
        ];
    }

    private static IEnumerable<(string Path, Command Command)> Leaves(Command command, string path) => command.Subcommands.SelectMany(sub =>
    {
        string name = path.Length == 0 ? sub.Name : $"{path} {sub.Name}";
        return sub.Subcommands.Count == 0 ? [(name, sub)] : Leaves(sub, name);
    });

    private static IEnumerable<string> Walk(Command command, string path)
    {
        foreach (Command sub in command.Subcommands)
        {
            string name = path.Length == 0 ? sub.Name : $"{path} {sub.Name}";
            yield return name;
            foreach (string below in Walk(sub, name))
            {
                yield return below;
            }
        }
    }
}
