using Understudy.Blocks.Identity;

namespace Understudy.Blocks.Tests.Identity;

public sealed class VmNamesTests
{
    [Theory]
    [InlineData("web1", true)]
    [InlineData("a", true)]
    [InlineData("", false)]
    [InlineData("-web", false)]
    [InlineData("web-", false)]
    [InlineData("web_1", false)]
    [InlineData("größe", false)]
    [InlineData("a23456789012345678901234567890123456789012345678901234567890123", true)]
    [InlineData("a234567890123456789012345678901234567890123456789012345678901234", false)]
    public void Lawful_is_1_to_63_letters_digits_hyphens(string name, bool lawful) => Assert.Equal(lawful, VmNames.IsLawful(name));

    [Theory]
    [InlineData("web1", "web1")]
    [InlineData("web--1", "web--1")]
    [InlineData("web 1 (old)", "web-1-old")]
    [InlineData("__web__", "web")]
    [InlineData("größe", "gr-e")]
    [InlineData("日本", "vm")]
    [InlineData("", "vm")]
    public void A_bad_name_gets_a_lawful_proposal(string name, string proposed)
    {
        Assert.Equal(proposed, VmNames.Propose(name));
        Assert.True(VmNames.IsLawful(proposed));
    }

    [Fact]
    public void Every_proposal_and_test_name_is_lawful()
    {
        const int Seed = 4711;
        Random random = new(Seed);
        for (int i = 0; i < 2_000; i++)
        {
            string name = new([.. Enumerable.Range(0, random.Next(0, 90)).Select(_ => "ab-_ .é9"[random.Next(8)])]);
            Assert.True(VmNames.IsLawful(VmNames.Propose(name)), $"seed {Seed}, name '{name}'");
            Assert.True(VmNames.IsLawful(VmNames.ForTest(name, random.Next(1, 2_000))), $"seed {Seed}, name '{name}'");
        }
    }

    [Fact]
    public void Test_names_are_numbered_from_the_second_and_shortened_to_fit()
    {
        Assert.Equal("web1-test", VmNames.ForTest("web1", 1));
        Assert.Equal("web1-test-2", VmNames.ForTest("web1", 2));
        Assert.Equal(new string('x', 58) + "-test", VmNames.ForTest(new string('x', 63), 1));
        Assert.Equal(new string('x', 55) + "-test-12", VmNames.ForTest(new string('x', 63), 12));
    }

    [Fact]
    public void The_next_test_name_skips_those_taken() =>
        Assert.Equal("web1-test-3", VmNames.NextForTest("web1", new HashSet<string> { "web1-test", "web1-test-2" }));
}
