using Understudy.Model;

namespace Understudy.Plans.Tests;

/// <summary>Every pair of state and command, with points listed and no test standing.</summary>
public sealed class LifeCycleTests
{
    private const string Table = """
        state                | protect              | test              | failover          | commit            | unprotect         | export
        unprotected          | go                   | vm-not-protected  | vm-not-protected  | vm-not-protected  | vm-not-protected  | vm-not-protected
        preparing            | vm-already-protected | state-refuses     | state-refuses     | state-refuses     | go                | state-refuses
        first copy           | vm-already-protected | state-refuses     | state-refuses     | state-refuses     | go                | state-refuses
        protected            | vm-already-protected | go                | go                | state-refuses     | go                | go
        resynchronising      | vm-already-protected | go                | go                | state-refuses     | go                | go
        test running         | vm-already-protected | go                | go                | state-refuses     | state-refuses     | go
        target full          | vm-already-protected | go                | go                | state-refuses     | go                | go
        failing over         | vm-already-protected | state-refuses     | state-refuses     | state-refuses     | state-refuses     | go
        commit pending       | vm-already-protected | state-refuses     | state-refuses     | go                | state-refuses     | go
        failed over          | vm-already-protected | state-refuses     | state-refuses     | state-refuses     | go                | state-refuses
        """;

    private static readonly VmCommand[] Columns =
        [VmCommand.Protect, VmCommand.Test, VmCommand.UnplannedFailover, VmCommand.Commit, VmCommand.Unprotect, VmCommand.Export];

    public static TheoryData<ProtectionState, VmCommand, string> Rows()
    {
        TheoryData<ProtectionState, VmCommand, string> rows = [];
        foreach (string line in Table.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1))
        {
            string[] cells = [.. line.Split('|').Select(cell => cell.Trim())];
            Assert.True(EnumWords<ProtectionState>.TryParse(cells[0], out ProtectionState state), cells[0]);
            for (int column = 0; column < Columns.Length; column++)
            {
                rows.Add(state, Columns[column], cells[column + 1]);
            }
        }

        return rows;
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Command_does_in_each_state_what_the_table_says(ProtectionState state, VmCommand command, string expected)
    {
        Decision decision = LifeCycle.Decide(Situation(state), command);

        Assert.Equal(expected, decision is Decision.Refuse refuse ? refuse.Error.Code : "go");
    }

    [Fact]
    public void Table_has_every_state_and_every_command()
    {
        Assert.Equal(
            Enum.GetValues<ProtectionState>().SelectMany(state => Enum.GetValues<VmCommand>().Select(command => (state, command))).Order(),
            Rows().Select(row => (row.Data.Item1, row.Data.Item2)).Order());
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Every_refusal_says_what_why_and_what_next(ProtectionState state, VmCommand command, string expected)
    {
        _ = expected;
        if (LifeCycle.Decide(Situation(state), command) is Decision.Refuse refuse)
        {
            Assert.Contains("web1", refuse.Error.What, StringComparison.Ordinal);
            Assert.NotEmpty(refuse.Error.Why);
            Assert.NotEmpty(refuse.Error.Next);
            Assert.Equal(ExitCode.Refused, refuse.Error.Kind.ToExitCode());
        }
    }

    [Theory]
    [InlineData(VmCommand.Test)]
    [InlineData(VmCommand.UnplannedFailover)]
    [InlineData(VmCommand.Export)]
    public void Nothing_starts_from_a_point_while_none_is_listed(VmCommand command)
    {
        Decision decision = LifeCycle.Decide(Situation(ProtectionState.Protected) with { HasPoints = false }, command);

        Assert.Equal("state-refuses", Assert.IsType<Decision.Refuse>(decision).Error.Code);
    }

    [Fact]
    public void Protection_does_not_end_under_a_standing_test()
    {
        foreach (ProtectionState state in Enum.GetValues<ProtectionState>().Where(state => state != ProtectionState.Unprotected))
        {
            Assert.IsType<Decision.Refuse>(LifeCycle.Decide(Situation(state) with { Tests = 1 }, VmCommand.Unprotect));
        }
    }

    private static VmSituation Situation(ProtectionState state) => new("web1", state, "beta", true, 0);
}
