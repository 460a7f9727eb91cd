using Understudy.Model;

namespace Understudy.Plans.Tests;

/// <summary>Where NICs go in one test: what is said for a NIC, then what is said for all.</summary>
public sealed class TestNicPlannerTests
{
    private const string One = "52:54:00:00:00:01";
    private const string Two = "52:54:00:00:00:02";

    private static readonly NicPlan[] _plans = [new(One, "prod", "lab", null), new(Two, "prod", null, "52:54:00:00:00:99")];
    private static readonly HostNetwork[] _networks = [new("prod", true, false, null), new("lab", true, false, null)];

    [Theory]
    [InlineData("isolated", "", "rest")]
    [InlineData("none", "", "1:- 2:-")]
    [InlineData("lab", "", "1:lab 2:lab")]
    [InlineData("mapped", "", "1:lab 2:* rest")]
    [InlineData("isolated", "1=lab", "1:lab 2:* rest")]
    [InlineData("isolated", "1=none", "1:- 2:* rest")]
    [InlineData("lab", "2=isolated", "1:lab 2:* rest")]
    [InlineData("none", "1=prod,52:54:00:00:00:aa", "1:prod/52:54:00:00:00:aa 2:-")]
    [InlineData("isolated", "1=isolated,52:54:00:00:00:aa", "1:*/52:54:00:00:00:aa 2:* rest")]
    [InlineData("none", "1=lab,keep", "1:lab/52:54:00:00:00:01 2:-")]
    public void A_nic_goes_where_the_test_says(string network, string choice, string expected)
    {
        (TestNicPlan? plan, ErrorInfo? error) = TestNicPlanner.Plan(_plans, network, Choices(choice), "beta", _networks);

        Assert.Null(error);
        Assert.Equal(expected, Words(Assert.IsType<TestNicPlan>(plan)));
    }

    [Theory]
    [InlineData("nowhere", "", "network-unknown")]
    [InlineData("isolated", "1=nowhere", "network-unknown")]
    [InlineData("isolated", "1=lab,zz:54:00:00:00:01", "value-unusable")]
    [InlineData("isolated", "1=lab,01:00:5e:00:00:01", "value-unusable")]
    [InlineData("isolated", "9=lab", "value-unusable")]
    public void What_cannot_be_carried_out_is_refused(string network, string choice, string code) =>
        Assert.Equal(code, TestNicPlanner.Plan(_plans, network, Choices(choice), "beta", _networks).Error?.Code);

    [Fact]
    public void A_vm_without_nics_is_in_the_bubble_when_asked_so_and_nowhere_otherwise()
    {
        Assert.True(TestNicPlanner.Plan([], "isolated", [], "beta", _networks).Plan?.RestIsolated);
        Assert.False(TestNicPlanner.Plan([], "none", [], "beta", _networks).Plan?.RestIsolated);
    }

    private static NicChoice[] Choices(string text)
    {
        if (text.Length == 0)
        {
            return [];
        }

        string[] parts = text[2..].Split(',');
        return [new NicChoice($"52:54:00:00:00:0{text[0]}", parts[0], null, parts.ElementAtOrDefault(1))];
    }

    /// <summary>"1:NETWORK/MAC 2:…", a star for the test's own network, a dash for none; "rest" when cards not named are in the test's own.</summary>
    private static string Words(TestNicPlan plan) => string.Join(
        ' ',
        plan.Nics.Select(nic => $"{nic.Mac[^1]}:{(nic.Isolated ? "*" : nic.Network ?? "-")}{(nic.NewMac is { } mac ? $"/{mac}" : "")}")
            .Concat(plan.RestIsolated ? ["rest"] : Array.Empty<string>()));
}
