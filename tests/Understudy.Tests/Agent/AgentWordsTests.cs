using Microsoft.Extensions.Logging;
using Understudy.Agent;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Branches;

namespace Understudy.Tests.Agent;

/// <summary>Where the engines' words become the control plane's: every one has its place.</summary>
public sealed class AgentWordsTests
{
    public static TheoryData<RefusalCode> Refusals => [.. Enum.GetValues<RefusalCode>()];

    public static TheoryData<VmRunState> RunStates => [.. Enum.GetValues<VmRunState>()];

    [Theory]
    [MemberData(nameof(Refusals))]
    public void Every_refusal_of_the_recovery_side_has_a_code(RefusalCode refusal)
    {
        Assert.Matches("^[a-z]+(-[a-z]+)*$", RefusalWords.CodeOf(refusal));
    }

    [Theory]
    [MemberData(nameof(RunStates))]
    public void Every_run_state_has_a_power_word(VmRunState state)
    {
        Assert.True(Enum.IsDefined(Facts.Of(state)));
    }

    [Fact]
    public void A_branch_is_called_the_same_by_its_host_and_in_the_vault()
    {
        foreach (Protection.Target.Branches.BranchKind kind in Enum.GetValues<Protection.Target.Branches.BranchKind>())
        {
            BranchRecord branch = new(
                new BranchId(Guid.NewGuid()), kind, new RecoveryPointId(new LineId(1, 7), 5), new LineId(2, 7), [], DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch, 0, null, null, BranchStep.Kept);

            Assert.Equal(branch.Name, BranchName.Of(Reports.Of(new BranchStatus(branch, []))));
        }
    }

    [Theory]
    [InlineData(LogLevel.Information, false)]
    [InlineData(LogLevel.Debug, true)]
    public void Single_requests_are_logged_only_to_whoever_asks_for_more(LogLevel level, bool logged)
    {
        using ILoggerFactory loggers = LoggerFactory.Create(builder => AgentLogging.Configure(builder, level));

        Assert.Equal(logged, loggers.CreateLogger("Microsoft.AspNetCore.Hosting.Diagnostics").IsEnabled(LogLevel.Information));
        Assert.True(loggers.CreateLogger("Understudy.Vault").IsEnabled(LogLevel.Information));
    }

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("vault:443")]
    [InlineData("10.0.0.1:0")]
    [InlineData("")]
    public void A_listening_address_without_a_port_is_refused_with_an_example(string text)
    {
        ErrorException refused = Assert.Throws<ErrorException>(() => AgentJoin.EndPoint(text));

        Assert.Contains("0.0.0.0:7443", refused.Error.Why, StringComparison.Ordinal);
    }

    [Fact]
    public void A_space_that_cannot_be_used_says_why_and_has_no_free_bytes()
    {
        StorageSpace space = Facts.Space("/proc/understudy");

        Assert.NotNull(space.Error);
        Assert.Equal(0, space.FreeBytes);
    }
}
