using System.Collections.Frozen;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Text.Json.Serialization;

namespace Understudy.Model;

/// <summary>
/// The words of an enum, written once: the <see cref="JsonStringEnumMemberNameAttribute"/> of each member is what the
/// API, the command line, the console and the logs say.
/// </summary>
public static class EnumWords<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] TEnum>
    where TEnum : struct, Enum
{
    private static readonly FrozenDictionary<TEnum, string> _words = typeof(TEnum)
        .GetFields(BindingFlags.Public | BindingFlags.Static)
        .ToFrozenDictionary(field => (TEnum)field.GetValue(null)!, WordOf); // a static enum field always has a value

    private static readonly FrozenDictionary<string, TEnum> _values =
        _words.ToFrozenDictionary(pair => pair.Value, pair => pair.Key, StringComparer.Ordinal);

    public static IReadOnlyCollection<string> All => _words.Values;

    public static string Of(TEnum value) =>
        _words.TryGetValue(value, out string? word) ? word : throw new UnreachableException($"{typeof(TEnum).Name} {value} has no word");

    public static bool TryParse(string? word, out TEnum value)
    {
        value = default;
        return word is not null && _values.TryGetValue(word, out value);
    }

    private static string WordOf(FieldInfo field) =>
        field.GetCustomAttribute<JsonStringEnumMemberNameAttribute>()?.Name
        ?? throw new UnreachableException($"{typeof(TEnum).Name}.{field.Name} has no word");
}

/// <summary>Short forms of <see cref="EnumWords{TEnum}"/> for the enums that people see.</summary>
public static class Words
{
    public static string Word(this ProtectionState state) => EnumWords<ProtectionState>.Of(state);

    public static string Word(this JobState state) => EnumWords<JobState>.Of(state);

    public static string Word(this StepState state) => EnumWords<StepState>.Of(state);

    public static string Word(this JobWait wait) => EnumWords<JobWait>.Of(wait);

    public static string Word(this JobAction action) => EnumWords<JobAction>.Of(action);

    public static string Word(this HealthLevel level) => EnumWords<HealthLevel>.Of(level);

    public static string Word(this CheckLevel level) => EnumWords<CheckLevel>.Of(level);

    public static string Word(this VmPower power) => EnumWords<VmPower>.Of(power);

    public static string Word(this SourceKnowledge knowledge) => EnumWords<SourceKnowledge>.Of(knowledge);

    public static string Word(this PointKind kind) => EnumWords<PointKind>.Of(kind);

    public static string Word(this ProtectionWait wait) => EnumWords<ProtectionWait>.Of(wait);

    public static string Word(this OwnershipState state) => EnumWords<OwnershipState>.Of(state);

    public static string Word(this FailoverKind kind) => EnumWords<FailoverKind>.Of(kind);

    public static string Word(this BranchKind kind) => EnumWords<BranchKind>.Of(kind);

    public static string Word(this IsolatedSourceAction action) => EnumWords<IsolatedSourceAction>.Of(action);
}
