using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Understudy.Bench;

/// <summary>One name's runs, in seconds, in the order they were made.</summary>
/// <param name="Peer">The peer's runs, or the goal where there is no peer.</param>
internal sealed record ResultRow(string Name, IReadOnlyList<double> Ours, IReadOnlyList<double> Peer, string PeerName)
{
    public double OursMedian => Median(Ours);

    public double PeerMedian => Median(Peer);

    public double Ratio => OursMedian / PeerMedian;

    private static double Median(IReadOnlyList<double> runs)
    {
        double[] sorted = [.. runs.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}

/// <summary>The table for people and the rows for programs.</summary>
internal static class Report
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static void Print(IReadOnlyList<ResultRow> rows)
    {
        Say($"{"name",-16}{"ours",9}{"peer",9}{"ratio",8}  {"ours, fastest to slowest",-26}peer");
        foreach (ResultRow row in rows)
        {
            string range = Invariant($"{row.Ours.Min():0.000} to {row.Ours.Max():0.000}");
            Say($"{row.Name,-16}{row.OursMedian,8:0.000}s{row.PeerMedian,8:0.000}s{row.Ratio,8:0.00}  {range,-26}{row.PeerName}");
        }
    }

    public static void Write(IReadOnlyList<ResultRow> rows, string file)
    {
        JsonArray array = [.. rows.Select(row => (JsonNode)new JsonObject
        {
            ["name"] = row.Name,
            ["ours"] = Math.Round(row.OursMedian, 4),
            ["peer"] = Math.Round(row.PeerMedian, 4),
            ["peer_name"] = row.PeerName,
            ["unit"] = "s",
            ["ratio"] = Math.Round(row.Ratio, 4),
        })];
        File.WriteAllText(file, array.ToJsonString(Indented) + "\n");
    }

    private static void Say(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
