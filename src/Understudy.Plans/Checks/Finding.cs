using Understudy.Model;

namespace Understudy.Plans;

/// <summary>A check with the refusal that follows from it; null when a command may go on.</summary>
public sealed record Finding(CheckResult Check, ErrorInfo? Refusal)
{
    public static Finding Pass(string name, string text) => new(new CheckResult(name, CheckLevel.Pass, text, null), null);

    public static Finding Warn(string name, string text, string remedy) => new(new CheckResult(name, CheckLevel.Warning, text, remedy), null);

    public static Finding Fail(string name, string text, string remedy, Func<CheckResult, ErrorInfo> refusal)
    {
        CheckResult check = new(name, CheckLevel.Error, text, remedy);
        return new Finding(check, refusal(check));
    }

    /// <summary>From an error of the catalogue.</summary>
    public static Finding Fail(string name, ErrorInfo error) =>
        new(new CheckResult(name, CheckLevel.Error, $"{error.What}. {error.Why}", error.Next), error);

    public static CheckLevel Worst(IEnumerable<Finding> findings) =>
        findings.Select(finding => finding.Check.Level).DefaultIfEmpty(CheckLevel.Pass).Max();
}
