namespace Understudy.CommandLine;

/// <summary>
/// Plain columns: wide enough for their content, two spaces apart, no lines. What is piped elsewhere looks the same, so
/// that awk and a person read one thing. (Spectre's tables cut cells at the terminal's width; a cut id is of no use.)
/// </summary>
internal sealed class Table(params string[] headings)
{
    private readonly List<string[]> _rows = [];

    public Table Row(params string?[] cells)
    {
        _rows.Add([.. cells.Select(c => string.IsNullOrEmpty(c) ? "-" : c)]);
        return this;
    }

    public void WriteTo(TextWriter writer)
    {
        int[] widths = [.. headings.Select((heading, i) => Math.Max(heading.Length, _rows.Count == 0 ? 0 : _rows.Max(r => DisplayWidth.Of(r[i]))))];
        WriteLine(writer, [.. headings.Select(h => h.ToUpperInvariant())], widths);
        foreach (string[] row in _rows)
        {
            WriteLine(writer, row, widths);
        }
    }

    private static void WriteLine(TextWriter writer, string[] cells, int[] widths)
    {
        for (int i = 0; i < cells.Length; i++)
        {
            writer.Write(cells[i]);
            if (i < cells.Length - 1)
            {
                writer.Write(new string(' ', widths[i] + 2 - DisplayWidth.Of(cells[i]))); // as the terminal counts, not in chars
            }
        }

        writer.WriteLine();
    }
}
