using System.Globalization;
using System.Text;
using Understudy.Protection.Ownership;

namespace Understudy.Protection.Guard;

/// <summary>
/// What the hook reads about one VM: a word and a value a line, so that a shell script can judge it in a few milliseconds
/// (docs/formats/guard.md). Pure.
/// </summary>
internal static class GuardFile
{
    public const string FirstLine = "understudy-guard 1";
    public const string LastLine = "end";

    /// <param name="startsAfter">Policy: in a boot in which nobody has validated the claim, starts are allowed when this has
    /// passed; null holds them.</param>
    /// <param name="awaited">The present boot and the seconds it had been up when the agent began to wait in it.</param>
    public static byte[] Write(OwnershipRecord record, TimeSpan? startsAfter, (string Boot, long UpSeconds) awaited)
    {
        StringBuilder text = new();
        Line(text, FirstLine, "");
        Line(text, "state", record.State is OwnershipState.Here { Fence: null } ? "allowed" : "denied");
        Line(text, "boot", record.State is OwnershipState.Here here ? here.Boot : "*");
        Line(text, "uuid", record.Vm.ToString());
        Line(text, "name", record.VmName);
        if (ReasonOf(record) is { } reason)
        {
            Line(text, "reason", reason);
        }

        if (startsAfter is { } after && record.State is OwnershipState.Here { Fence: null })
        {
            Line(text, "after", ((long)after.TotalSeconds).ToString(CultureInfo.InvariantCulture));
            Line(text, "awaited", string.Create(CultureInfo.InvariantCulture, $"{awaited.Boot} {awaited.UpSeconds}"));
        }

        foreach (string disk in record.Disks)
        {
            Line(text, "disk", disk);
        }

        Line(text, LastLine, "");
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static string? ReasonOf(OwnershipRecord record) => record.State switch
    {
        OwnershipState.Here { Fence: { } fence } => $"it is fenced: {fence.Reason}",
        OwnershipState.Here => null,
        OwnershipState.Offered => "it is being handed over to the other side, which has not answered yet",
        OwnershipState.Elsewhere => $"the other side owns it (line {record.Line})",
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    /// <summary>A value is one line, whatever it came from; a path that is none cannot be guarded by path.</summary>
    private static void Line(StringBuilder text, string word, string value)
    {
        if (word == "disk" && value.AsSpan().ContainsAny('\n', '\r'))
        {
            return;
        }

        text.Append(word);
        if (value.Length > 0)
        {
            text.Append(' ').Append(value.ReplaceLineEndings(" "));
        }

        text.Append('\n');
    }
}
