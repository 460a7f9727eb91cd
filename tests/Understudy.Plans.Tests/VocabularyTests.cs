using System.Reflection;
using System.Text.RegularExpressions;
using Understudy.Model;

namespace Understudy.Plans.Tests;

/// <summary>Names, durations, policies and words of the model.</summary>
public sealed partial class VocabularyTests
{
    [Theory]
    [InlineData("15s", 15)]
    [InlineData("5min", 300)]
    [InlineData("5m", 300)]
    [InlineData("24h", 86_400)]
    [InlineData("30d", 2_592_000)]
    [InlineData("0", 0)]
    public void Durations_are_read(string text, int seconds)
    {
        Assert.True(Durations.TryParse(text, out TimeSpan duration));
        Assert.Equal(TimeSpan.FromSeconds(seconds), duration);
        Assert.True(Durations.TryParse(Durations.Format(duration), out TimeSpan again));
        Assert.Equal(duration, again);
    }

    [Theory]
    [InlineData("")]
    [InlineData("s")]
    [InlineData("15")]
    [InlineData("-5min")]
    [InlineData("1.5h")]
    [InlineData("5 weeks")]
    [InlineData("99999999999s")]
    [InlineData("99999999d")]
    public void What_is_no_duration_is_not_guessed_at(string text)
    {
        Assert.False(Durations.TryParse(text, out _));
    }

    [Theory]
    [InlineData("-5min", "not negative")]
    [InlineData("999999999999d", "longer than")]
    [InlineData("99999999999999999999999s", "longer than")]
    [InlineData("soon", "whole number with s, min, h or d")]
    public void Why_it_is_no_duration_is_said(string text, string why)
    {
        Assert.Contains(why, Errors.BadDuration("--retention", text).Why, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("FAILOVER", "`--confirm FAILOVER`")]
    [InlineData("POWER OFF", "`--confirm \"POWER OFF\"`")]
    public void A_confirmation_word_is_shown_as_it_is_typed(string word, string shown)
    {
        Assert.Contains(shown, Errors.WrongConfirmation(word, null).Next, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(14, 0, "frequency-out-of-range")]
    [InlineData(15, 0, null)]
    [InlineData(86_400, 2_592_000, null)]
    [InlineData(86_401, 0, "frequency-out-of-range")]
    [InlineData(30, 2_592_001, "retention-out-of-range")]
    public void A_policy_keeps_to_its_limits(int frequency, int retention, string? code)
    {
        Policy policy = new() { Name = "p", Frequency = TimeSpan.FromSeconds(frequency), Retention = TimeSpan.FromSeconds(retention) };

        Assert.Equal(code, PolicyRules.Check(policy)?.Code);
    }

    /// <summary>Every pair of fields that makes no sense together, and beside each the nearest one that does.</summary>
    public static TheoryData<Policy, string?> Pairs() => new()
    {
        { Every5Min with { CommitAfter = TimeSpan.FromMinutes(30) }, null },
        { Every5Min with { CancelAfter = TimeSpan.FromMinutes(30) }, null },
        { Every5Min with { CommitAfter = TimeSpan.FromMinutes(30), CancelAfter = TimeSpan.FromMinutes(30) }, "policy-contradicts" },
        { Every5Min with { Retention = TimeSpan.FromMinutes(4) }, "policy-contradicts" },
        { Every5Min with { Retention = TimeSpan.FromMinutes(5) }, null },
        { Every5Min with { Retention = TimeSpan.Zero }, null },
        { Every5Min with { Rpo = new RpoLimits(TimeSpan.FromMinutes(5), null, null) }, "policy-contradicts" },
        { Every5Min with { Rpo = new RpoLimits(TimeSpan.FromMinutes(6), null, null) }, null },
        { Every5Min with { Rpo = new RpoLimits(TimeSpan.FromMinutes(10), null, null) }, "policy-contradicts" },
        { Every5Min with { Rpo = new RpoLimits(null, TimeSpan.FromMinutes(7), null) }, "policy-contradicts" },
        { Every5Min with { Rpo = new RpoLimits(null, TimeSpan.FromMinutes(8), null) }, null },
        { Every5Min with { StartTime = new TimeOnly(22, 30) }, null },
        { Every5Min with { StartTime = new TimeOnly(22, 31) }, "value-unusable" },
        { Every5Min with { GuardStartsAfter = TimeSpan.FromSeconds(59) }, "value-unusable" },
        { Every5Min with { GuardStartsAfter = TimeSpan.FromMinutes(1) }, null },
        { Every5Min with { BranchDays = 0 }, "value-unusable" },
        { Every5Min with { BranchDays = 366 }, "value-unusable" },
    };

    private static Policy Every5Min => new() { Name = "p" };

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Nonsense_together_is_refused_with_its_reason(Policy policy, string? code)
    {
        Assert.Equal(code, PolicyRules.Check(policy)?.Code);
    }

    [Theory]
    [InlineData("0", 0)]
    [InlineData("512MiB", 512L << 20)]
    [InlineData("4 G", 4L << 30)]
    [InlineData("123", 123)]
    public void Sizes_are_read(string text, long bytes)
    {
        Assert.True(Sizes.TryParse(text, out long read));
        Assert.Equal(bytes, read);
    }

    [Theory]
    [InlineData("")]
    [InlineData("-1")]
    [InlineData("4GB")]
    [InlineData("1.5GiB")]
    [InlineData("99999999EiB")]
    public void What_is_no_size_is_not_guessed_at(string text)
    {
        Assert.False(Sizes.TryParse(text, out _));
    }

    [Theory]
    [InlineData("encryption", "policy-field-not-offered")]
    [InlineData("AutomaticFailover", "policy-field-not-offered")]
    [InlineData("frequencyy", "policy-field-unknown")]
    public void A_field_of_a_later_version_is_refused_by_its_name(string field, string code)
    {
        ErrorInfo error = PolicyRules.RefuseField(field);

        Assert.Equal(code, error.Code);
        Assert.Contains(field, error.What, StringComparison.Ordinal);
    }

    [Fact]
    public void Built_in_policies_are_sound_and_hold_the_default()
    {
        Assert.All(PolicyRules.BuiltIn, policy => Assert.Null(PolicyRules.Check(policy)));
        Assert.Contains(PolicyRules.BuiltIn, policy => policy.Name == PolicyRules.DefaultName);
    }

    [Fact]
    public void Every_word_is_said_once_and_read_back()
    {
        RoundTrip<ProtectionState>();
        RoundTrip<JobState>();
        RoundTrip<StepState>();
        RoundTrip<JobWait>();
        RoundTrip<JobAction>();
        RoundTrip<HealthLevel>();
        RoundTrip<CheckLevel>();
        RoundTrip<VmPower>();
        RoundTrip<SourceKnowledge>();
        RoundTrip<PointKind>();
        RoundTrip<ProtectionWait>();
        RoundTrip<OwnershipState>();
        RoundTrip<FailoverKind>();
        RoundTrip<BranchKind>();
        RoundTrip<IsolatedSourceAction>();
        RoundTrip<ErrorKind>();
    }

    [Fact]
    public void Every_error_has_a_code_of_its_own_and_all_three_parts()
    {
        IReadOnlyList<ErrorInfo> errors = AllErrors();

        Assert.True(errors.Count > 40, $"{errors.Count} errors");
        Assert.Equal(errors.Count, errors.Select(error => error.Code).Distinct().Count());
        Assert.All(errors, error =>
        {
            Assert.Matches("^[a-z]+(-[a-z]+)*$", error.Code);
            Assert.NotEmpty(error.What);
            Assert.EndsWith(".", error.Why, StringComparison.Ordinal);
            Assert.EndsWith(".", error.Next, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void The_users_page_of_errors_has_every_code_and_the_page_of_states_every_word()
    {
        string errors = Page.Read("docs/operations/errors.md");
        string states = Page.Read("docs/operations/states.md");

        Assert.All(AllErrors(), error => Assert.Contains($"| `{error.Code}` |", errors, StringComparison.Ordinal));
        Assert.All(EnumWords<ProtectionState>.All, word => Assert.Contains($"| {word} |", states, StringComparison.Ordinal));
        Assert.All(EnumWords<JobAction>.All, word => Assert.Contains($"| {word} |", states, StringComparison.Ordinal));
        Assert.All(EnumWords<JobWait>.All.Where(word => word != "none"), word => Assert.Contains($"| {word} |", states, StringComparison.Ordinal));
        Assert.All(EnumWords<ProtectionWait>.All.Where(word => word != "none"), word => Assert.Contains($"| {word} |", states, StringComparison.Ordinal));
        Assert.All(EnumWords<BranchKind>.All, word => Assert.Contains($"| {word} |", states, StringComparison.Ordinal));
        Assert.All(EnumWords<PointKind>.All, word => Assert.Contains($"| {word} |", states, StringComparison.Ordinal));
        Assert.All(EnumWords<SourceKnowledge>.All, word => Assert.Contains($"| {word} |", states, StringComparison.Ordinal));
    }

    /// <summary>Those that are said where they arise, most of them by agents.</summary>
    [Fact]
    public void The_users_page_of_errors_has_the_codes_that_are_written_elsewhere_in_the_program()
    {
        string errors = Page.Read("docs/operations/errors.md");
        string[] codes =
        [
            .. Page.Files("src", "*.cs").SelectMany(file => NewError().Matches(file)).Select(found => found.Groups["code"].Value),
            .. ArmOfSwitch().Matches(Page.Read("src/Understudy/Agent/RefusalWords.cs")).Select(found => found.Groups["code"].Value),
            .. ArmOfSwitch().Matches(Page.Read("src/Understudy/Agent/SourceWords.cs")).Select(found => found.Groups["code"].Value),
        ];

        Assert.True(codes.Distinct().Count() > 40, $"{codes.Distinct().Count()} codes");
        Assert.Contains("replica-unreadable", codes);
        Assert.All(codes, code => Assert.Contains($"`{code}`", errors, StringComparison.Ordinal));
    }

    [GeneratedRegex(@"new ErrorInfo\(\s*(ErrorKind\.)?\w+,\s*""(?<code>[a-z]+(-[a-z]+)*)""")]
    private static partial Regex NewError();

    [GeneratedRegex(@"=> ""(?<code>[a-z]+(-[a-z]+)+)""")]
    private static partial Regex ArmOfSwitch();

    private static IReadOnlyList<ErrorInfo> AllErrors() =>
    [
        .. typeof(Errors).GetProperties(BindingFlags.Public | BindingFlags.Static).Select(property => (ErrorInfo)property.GetValue(null)!), // all are errors
        .. typeof(Errors).GetMethods(BindingFlags.Public | BindingFlags.Static).Where(method => method is { IsSpecialName: false } && method.ReturnType == typeof(ErrorInfo))
            .Select(method => (ErrorInfo)method.Invoke(null, [.. method.GetParameters().Select(Sample)])!), // as above
    ];

    private static object? Sample(ParameterInfo parameter) => parameter.ParameterType switch
    {
        var type when type == typeof(string) => parameter.Name == "next" ? "Do y." : "x",
        var type when type == typeof(IEnumerable<string>) => new[] { "x" },
        var type when type == typeof(CheckResult) => new CheckResult("x", CheckLevel.Error, "x", "Do y."),
        var type => Activator.CreateInstance(type),
    };

    private static void RoundTrip<TEnum>()
        where TEnum : struct, Enum
    {
        foreach (TEnum value in Enum.GetValues<TEnum>())
        {
            Assert.True(EnumWords<TEnum>.TryParse(EnumWords<TEnum>.Of(value), out TEnum read));
            Assert.Equal(value, read);
        }

        Assert.False(EnumWords<TEnum>.TryParse("no such word", out _));
    }
}
