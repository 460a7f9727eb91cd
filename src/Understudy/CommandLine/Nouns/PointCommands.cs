using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

internal static class PointCommands
{
    private static readonly Argument<string> _vm = new("vm") { Description = "Name or id of the VM" };
    private static readonly Argument<string> _point = new("point") { Description = "Id of the point, its time, or 'latest'" };
    private static readonly Option<string> _folder = new("--to") { Description = "New or empty folder on the target host", Required = true };
    private static readonly Option<string?> _format = new("--format") { Description = "raw (default) or qcow2" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "point",
        "Recovery points",
        make.Verb("list", "List the points a VM can be brought back to, oldest first", async (c, ct) => c.Show(
            await c.Vault.ListPointsAsync(c.Get(_vm), ct), CommandContext.Types.IReadOnlyListPointDto, List), _vm),
        make.Verb("export", "Write the disks of a point as ordinary images on the target host", ExportAsync, _vm, _point, _folder, _format));

    private static async Task<ExitCode> ExportAsync(CommandContext c, CancellationToken ct)
    {
        ExportDto request = new(Path.GetFullPath(c.Get(_folder)!), c.Get(_format)); // --to is required
        return await JobWatch.FollowAsync(c, await c.Vault.ExportPointAsync(c.Get(_vm), c.Get(_point), request, ct), ct);
    }

    private static void List(IReadOnlyList<PointDto> points, TextWriter output)
    {
        Table table = new("cut at", "kind", "label", "id");
        foreach (PointDto point in points)
        {
            table.Row(Show.Time(point.CutAt), point.Kind.Word(), point.Label, point.Id);
        }

        table.WriteTo(output);
    }
}
