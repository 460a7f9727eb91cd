using Understudy.Model;

namespace Understudy.Plans.Tests;

/// <summary>REG-2 and REG-5: which VMs a rule means.</summary>
public sealed class VmRuleTests
{
    [Theory]
    [InlineData("all", "web1", "", true)]
    [InlineData("none", "web1", "prod", false)]
    [InlineData("web1", "web1", "", true)]
    [InlineData("web1", "web11", "", false)]
    [InlineData("web*", "web11", "", true)]
    [InlineData("web?", "web11", "", false)]
    [InlineData("web?", "web1", "", true)]
    [InlineData("WEB1", "web1", "", false)]
    [InlineData("tag:prod", "db", "prod web", true)]
    [InlineData("tag:prod", "prod", "", false)]
    [InlineData("tag:p*", "db", "web prod", true)]
    [InlineData("web*,tag:prod", "db", "prod", true)]
    [InlineData("web*,tag:prod", "db", "test", false)]
    [InlineData("web*,!web2", "web2", "", false)]
    [InlineData("web*,!web2", "web3", "", true)]
    [InlineData("!tag:private", "db", "", true)]
    [InlineData("!tag:private", "db", "private", false)]
    [InlineData("!web*,!db", "mail", "", true)]
    [InlineData("all,!db", "mail", "", true)]
    [InlineData("all,!db", "db", "", false)]
    public void A_rule_means_what_it_says(string rule, string name, string tags, bool meant) =>
        Assert.Equal(meant, VmRule.Parse("rule", rule).Matches(name, tags.Split(' ', StringSplitOptions.RemoveEmptyEntries)));

    [Fact]
    public void A_vm_whose_tags_are_not_known_has_none() => Assert.False(VmRule.Parse("rule", "tag:*").Matches("web1", null));

    [Fact]
    public void A_rule_is_written_anew_in_one_way()
    {
        Assert.Equal("web*,!tag:old,db", VmRule.Parse("rule", " web* , ! tag: old,db ").Text);
        Assert.Equal("all", VmRule.Parse("rule", "all").Text);
    }

    [Theory]
    [InlineData("")]
    [InlineData("web*,")]
    [InlineData("web*,,db")]
    [InlineData("tag:")]
    [InlineData("!")]
    [InlineData("!!")]
    [InlineData("tag:prod,!!x")]
    public void An_empty_term_is_refused_with_what_a_rule_looks_like(string rule)
    {
        ErrorInfo error = Assert.Throws<ErrorException>(() => VmRule.Parse("--visible", rule)).Error;

        Assert.Equal("value-unusable", error.Code);
        Assert.Contains("web*,tag:prod", error.Why, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rule_has_bounds() =>
        Assert.Throws<ErrorException>(() => VmRule.Parse("rule", string.Join(",", Enumerable.Range(0, VmRule.MostTerms + 1))));

    [Theory]
    [InlineData("web1", false)]
    [InlineData("web-1.example", false)]
    [InlineData("web*", true)]
    [InlineData("web1,web2", true)]
    [InlineData("tag:prod", true)]
    [InlineData("all", true)]
    [InlineData("!web1", true)]
    public void A_plain_name_is_no_rule(string text, bool rule) => Assert.Equal(rule, VmRule.IsRule(text));
}
