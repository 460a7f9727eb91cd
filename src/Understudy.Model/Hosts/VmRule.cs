using System.IO.Enumeration;

namespace Understudy.Model;

/// <summary>
/// Which VMs are meant, by name or tag (REG-2, REG-5): <c>web*,tag:prod,!web-old</c>. Terms stand between commas; a term is
/// the pattern of a name, or of a tag after <c>tag:</c>; <c>*</c> stands for any characters and <c>?</c> for one; letters
/// count as written. A VM is meant when one term meets it and none with <c>!</c> does; where all terms have <c>!</c>, it is
/// meant unless one meets it.
/// </summary>
public sealed class VmRule
{
    public const string AllText = "all";
    public const string NoneText = "none";
    public const string TagPrefix = "tag:";

    /// <summary>A rule is a line that people read.</summary>
    public const int MostTerms = 64;

    private const int MaxLength = 2048;
    private const char Not = '!';

    private readonly IReadOnlyList<Term> _terms;

    private VmRule(string text, IReadOnlyList<Term> terms) => (Text, _terms) = (text, terms);

    public static VmRule All { get; } = new(AllText, [new Term(false, false, "*")]);

    public static VmRule None { get; } = new(NoneText, []);

    /// <summary>As it is written anew, the same for rules that were typed alike.</summary>
    public string Text { get; }

    /// <summary>Written so that it can mean several VMs, and is no name of one.</summary>
    public static bool IsRule(string text) =>
        text == AllText || text.StartsWith(TagPrefix, StringComparison.Ordinal) || text.AsSpan().ContainsAny("*?,!");

    /// <param name="field">What it is given for, for the error.</param>
    /// <exception cref="ErrorException">It is none.</exception>
    public static VmRule Parse(string field, string text)
    {
        ErrorException Unusable(string why) => new(Errors.BadValue(field, text, why));

        string[] parts = text.Split(',', StringSplitOptions.TrimEntries);
        if (text.Length > MaxLength || parts.Length > MostTerms)
        {
            throw Unusable($"a rule has at most {MostTerms} terms and {MaxLength} characters");
        }

        switch (parts)
        {
            case [AllText]:
                return All;
            case [NoneText]:
                return None;
        }

        List<Term> terms = [];
        foreach (string part in parts)
        {
            bool not = part.StartsWith(Not);
            string rest = part[(not ? 1 : 0)..].Trim();
            bool tag = rest.StartsWith(TagPrefix, StringComparison.Ordinal);
            string pattern = tag ? rest[TagPrefix.Length..].Trim() : rest;
            if (pattern.Length == 0)
            {
                throw Unusable("a term between the commas is empty; a rule reads like web*,tag:prod,!web-old, or all, or none");
            }

            if (pattern.StartsWith(Not))
            {
                throw Unusable("a term has one ! at most, before all else; a rule reads like web*,tag:prod,!web-old, or all, or none");
            }

            terms.Add(new Term(not, tag, pattern == AllText && !tag ? "*" : pattern));
        }

        return new VmRule(string.Join(",", terms), terms);
    }

    public bool Matches(string name, IReadOnlyList<string>? tags)
    {
        bool meant = _terms.Count > 0 && _terms.All(term => term.Not);
        foreach (Term term in _terms)
        {
            if (term.Meets(name, tags ?? []))
            {
                if (term.Not)
                {
                    return false;
                }

                meant = true;
            }
        }

        return meant;
    }

    public override string ToString() => Text;

    private sealed record Term(bool Not, bool Tag, string Pattern)
    {
        public bool Meets(string name, IReadOnlyList<string> tags) => Tag ? tags.Any(Fits) : Fits(name);

        public override string ToString() => $"{(Not ? "!" : "")}{(Tag ? TagPrefix : "")}{Pattern}";

        private bool Fits(string text) => FileSystemName.MatchesSimpleExpression(Pattern, text, ignoreCase: false);
    }
}
