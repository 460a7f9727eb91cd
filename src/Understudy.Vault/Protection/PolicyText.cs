using System.Globalization;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.Vault.Protection;

/// <summary>Policies as people and the database write them. One codec for both, so what was said can always be read.</summary>
internal static class PolicyText
{
    private const string Never = "never";
    private const string Usual = "usual";
    private const string Now = "now";
    private const string Hold = "hold";
    private const string StartAfter = "start after ";
    private const string ByHand = "by hand";
    private const string TimeFormat = "HH:mm";

    /// <exception cref="ErrorException">A field cannot be read, or is not of this version.</exception>
    public static Policy Apply(Policy policy, PolicySetDto change)
    {
        if (change.Others is { Count: > 0 } others)
        {
            throw new ErrorException(PolicyRules.RefuseField(others.Keys.Order(StringComparer.Ordinal).First()));
        }

        if (change.Mode is { } mode && PolicyRules.CheckMode(mode) is { } error)
        {
            throw new ErrorException(error);
        }

        Policy decided = change.Commit is null ? policy : Undecided(policy, change);
        return decided with
        {
            Frequency = Duration("frequency", change.Frequency) ?? policy.Frequency,
            Retention = Duration("retention", change.Retention) ?? policy.Retention,
            Compression = change.Compression ?? policy.Compression,
            UseNetworkMap = change.UseNetworkMap ?? policy.UseNetworkMap,
            StartTime = Start(change.StartTime, policy.StartTime),
            CommitAfter = Optional("commitAfter", change.CommitAfter, Never, decided.CommitAfter),
            CancelAfter = Optional("cancelAfter", change.CancelAfter, Never, decided.CancelAfter),
            BranchDays = change.BranchDays ?? policy.BranchDays,
            GuardStartsAfter = Guard(change.Guard, policy.GuardStartsAfter),
            IsolatedSource = Isolated(change.IsolatedSource, policy.IsolatedSource),
            Bookmarks = Bookmarks(change.Bookmarks, policy.Bookmarks),
            Rpo = new RpoLimits(
                Optional("rpoWarning", change.RpoWarning, Usual, policy.Rpo.Warning),
                Optional("rpoCritical", change.RpoCritical, Usual, policy.Rpo.Critical),
                Optional("rpoCriticalAfter", change.RpoCriticalAfter, Usual, policy.Rpo.CriticalAfter)),
        };
    }

    public static PolicyDto ToDto(Policy policy, int usedBy) => new(
        policy.Name,
        EnumWords<ReplicationMode>.Of(policy.Mode),
        Durations.Format(policy.Frequency),
        Durations.Format(policy.Retention),
        policy.Compression,
        policy.UseNetworkMap,
        policy.StartTime?.ToString(TimeFormat, CultureInfo.InvariantCulture) ?? Now,
        policy is { CommitAfter: null, CancelAfter: null } ? ByHand : "by itself",
        Text(policy.CommitAfter, Never),
        Text(policy.CancelAfter, Never),
        policy.BranchDays,
        policy.GuardStartsAfter is { } wait ? StartAfter + Durations.Format(wait) : Hold,
        policy.IsolatedSource.Word(),
        policy.Bookmarks.ToString(),
        Text(policy.Rpo.Warning, Usual),
        Text(policy.Rpo.Critical, Usual),
        Text(policy.Rpo.CriticalAfter, Usual),
        usedBy);

    /// <summary>All of it as a change, which makes the same policy of an empty one.</summary>
    public static PolicySetDto ToChange(Policy policy)
    {
        PolicyDto all = ToDto(policy, 0);
        return new PolicySetDto
        {
            Mode = all.Mode,
            Frequency = all.Frequency,
            Retention = all.Retention,
            Compression = all.Compression,
            UseNetworkMap = all.UseNetworkMap,
            StartTime = all.StartTime,
            CommitAfter = all.CommitAfter,
            CancelAfter = all.CancelAfter,
            BranchDays = all.BranchDays,
            Guard = all.Guard,
            IsolatedSource = all.IsolatedSource,
            Bookmarks = all.Bookmarks,
            RpoWarning = all.RpoWarning,
            RpoCritical = all.RpoCritical,
            RpoCriticalAfter = all.RpoCriticalAfter,
        };
    }

    private static Policy Undecided(Policy policy, PolicySetDto change)
    {
        if (change.Commit != ByHand)
        {
            throw new ErrorException(Errors.BadValue("commit", change.Commit!, "it is \"by hand\"; commitAfter and cancelAfter make it happen by itself")); // the caller has looked
        }

        return change.CommitAfter is not (null or Never) || change.CancelAfter is not (null or Never)
            ? throw new ErrorException(Errors.PolicyContradicts("commit and commitAfter or cancelAfter", "by hand is never by itself"))
            : policy with { CommitAfter = null, CancelAfter = null };
    }

    private static TimeSpan? Duration(string field, string? text)
    {
        if (text is null)
        {
            return null;
        }

        return Durations.TryParse(text, out TimeSpan duration) ? duration : throw new ErrorException(Errors.BadDuration(field, text));
    }

    private static TimeSpan? Optional(string field, string? text, string without, TimeSpan? present) =>
        text is null ? present : text == without ? null : Duration(field, text);

    private static TimeOnly? Start(string? text, TimeOnly? present) => text switch
    {
        null => present,
        Now => null,
        _ => TimeOnly.TryParseExact(text, TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.None, out TimeOnly at)
            ? at
            : throw new ErrorException(Errors.BadValue("startTime", text, "it is \"now\", or a time of the day in UTC such as 22:30")),
    };

    private static TimeSpan? Guard(string? text, TimeSpan? present) => text switch
    {
        null => present,
        Hold => null,
        _ => text.StartsWith(StartAfter, StringComparison.Ordinal)
            ? Duration("guard", text[StartAfter.Length..])
            : throw new ErrorException(Errors.BadValue("guard", text, "it is \"hold\", or \"start after 10min\"")),
    };

    private static IsolatedSourceAction Isolated(string? text, IsolatedSourceAction present) =>
        text is null ? present
        : EnumWords<IsolatedSourceAction>.TryParse(text, out IsolatedSourceAction action) ? action
        : throw new ErrorException(Errors.BadValue("isolatedSource", text, $"it is one of {string.Join(", ", EnumWords<IsolatedSourceAction>.All)}"));

    private static Timetable Bookmarks(string? text, Timetable present) =>
        text is null ? present
        : Timetable.TryParse(text, out Timetable times) ? times
        : throw new ErrorException(Errors.BadValue("bookmarks", text, "times of the week in UTC, such as \"22:00\" or \"sun 03:30, wed 12:00\"; or \"none\""));

    private static string Text(TimeSpan? duration, string without) => duration is { } given ? Durations.Format(given) : without;
}
