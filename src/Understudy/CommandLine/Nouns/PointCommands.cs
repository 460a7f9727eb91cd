using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

internal static class PointCommands
{
    private static readonly Argument<string?> _vm = new("vm") { Description = "Name or id of the VM", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Argument<string?> _point = new("point") { Description = "Id of the point, its time, or 'latest'", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Option<string> _folder = new("--to") { Description = "New or empty folder on the target host", Required = true };
    private static readonly Option<string?> _format = new("--format") { Description = "raw (default) or qcow2" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "point",
        "Recovery points",
        make.Verb("list", "List the points a VM can be brought back to, oldest first", ListAsync, _vm, PointFiles.Replica, PointFiles.Images),
        make.Verb("export", "Write the disks of a point as ordinary images on the target host", ExportAsync, _vm, _point, _folder, _format, PointFiles.Replica, PointFiles.Images, PointFiles.Point));

    private static async Task<ExitCode> ListAsync(CommandContext c, CancellationToken ct) => c.Get(PointFiles.Replica) is { } folder
        ? await PointFiles.ListAsync(c, folder, ct)
        : c.Show(await c.Vault.ListPointsAsync(PointFiles.Required(c, _vm, "VM"), ct), CommandContext.Types.IReadOnlyListPointDto, List);

    private static async Task<ExitCode> ExportAsync(CommandContext c, CancellationToken ct)
    {
        if (c.Get(PointFiles.Replica) is { } replica)
        {
            return await PointFiles.ExportAsync(c, replica, Path.GetFullPath(c.Get(_folder)!), c.Get(_format), ct); // --to is required
        }

        ExportDto request = new(Path.GetFullPath(c.Get(_folder)!), c.Get(_format)); // --to is required
        return await JobWatch.FollowAsync(c, await c.Vault.ExportPointAsync(PointFiles.Required(c, _vm, "VM"), PointFiles.Required(c, _point, "point"), request, ct), ct);
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
