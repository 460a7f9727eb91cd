using Understudy.Agent;
using Understudy.Model;
using Understudy.Protection;
using Understudy.Protection.Ports;

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
