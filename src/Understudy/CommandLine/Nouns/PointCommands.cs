using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>`understudy point`: recovery points, and the branches that stand on them.</summary>
internal static class PointCommands
{
    private static readonly Argument<string> _vm = new("vm") { Description = "Name or id of the VM" };
    private static readonly Argument<string> _point = new("point") { Description = "Id of the point, its time, 'latest', or the name of a branch" };
    private static readonly Argument<string?> _vmOrFolder = new("vm") { Description = "Name or id of the VM", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Argument<string?> _pointOrFolder = new("point") { Description = "Id of the point, its time, 'latest', or the name of a branch", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Argument<string> _branch = new("branch") { Description = "Name of the branch" };
    private static readonly Argument<string> _mount = new("mount") { Description = "What `vm show` calls it, or one of its devices" };
    private static readonly Option<string?> _label = new("--label") { Description = "What it marks; kept with the point" };
    private static readonly Option<bool> _branches = new("--branches") { Description = "Only the branches" };
    private static readonly Option<string> _folder = new("--to") { Description = "New or empty folder on the target host", Required = true };
    private static readonly Option<string?> _format = new("--format") { Description = "raw (default) or qcow2" };
    private static readonly Option<string> _toVm = new("--to") { Description = "VM of the target host that gets the disks", Required = true };
    private static readonly Option<bool> _writable = new("--writable") { Description = "Through an overlay that goes with it; the point stays as it is" };
    private static readonly Option<string?> _confirm = new("--confirm") { Description = "The branch's name once more" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "point",
        "Recovery points and branches",
        make.Verb("list", "List what a VM can be brought back to, oldest first", ListAsync, _vmOrFolder, _branches, PointFiles.Replica, PointFiles.Images),
        make.Verb("show", "Show one point", async (c, ct) => c.Show(
            await c.Vault.GetPointAsync(c.Get(_vm), c.Get(_point), ct), CommandContext.Types.PointDto, One), _vm, _point),
        make.Verb("mark", "Cut a point now and mark it", async (c, ct) =>
            await JobWatch.FollowAsync(c, await c.Vault.MarkAsync(c.Get(_vm), new MarkDto(c.Get(_label)), ct), ct), _vm, _label),
        make.Verb("mount", "Show a point as bare block devices of the target host", async (c, ct) =>
            await JobWatch.FollowAsync(c, await c.Vault.MountPointAsync(c.Get(_vm), c.Get(_point), new MountDto(c.Get(_writable)), ct), ct), _vm, _point, _writable),
        make.Verb("attach", "Give a point to a VM of the target host as extra disks", async (c, ct) =>
            await JobWatch.FollowAsync(c, await c.Vault.AttachPointAsync(c.Get(_vm), c.Get(_point), new AttachDto(c.Get(_toVm)!, c.Get(_writable)), ct), ct), // required
            _vm, _point, _toVm, _writable),
        make.Verb("unmount", "Take mounted devices away", TakeBackAsync, _vm, _mount),
        make.Verb("detach", "Take attached disks away", TakeBackAsync, _vm, _mount),
        make.Verb("export", "Write the disks of a point as ordinary images on the target host", ExportAsync,
            _vmOrFolder, _pointOrFolder, _folder, _format, PointFiles.Replica, PointFiles.Images, PointFiles.Point),
        make.Verb("delete", "Delete a branch, by its name", DeleteAsync, _vm, _branch, _confirm));

    private static async Task<ExitCode> ListAsync(CommandContext c, CancellationToken ct)
    {
        if (c.Get(PointFiles.Replica) is { } folder)
        {
            return await PointFiles.ListAsync(c, folder, ct);
        }

        string vm = PointFiles.Required(c, _vmOrFolder, "VM");
        if (c.Get(_branches))
        {
            return c.Show(await c.Vault.ListBranchesAsync(vm, ct), CommandContext.Types.IReadOnlyListBranchDto, ListBranches);
        }

        IReadOnlyList<PointDto> points = await c.Vault.ListPointsAsync(vm, ct);
        IReadOnlyList<BranchDto> branches = c.Json ? [] : await c.Vault.ListBranchesAsync(vm, ct);
        return c.Show(points, CommandContext.Types.IReadOnlyListPointDto, (all, output) =>
        {
            List(all, output);
            if (branches.Count > 0)
            {
                output.WriteLine();
                ListBranches(branches, output);
            }
        });
    }

    private static async Task<ExitCode> ExportAsync(CommandContext c, CancellationToken ct)
    {
        if (c.Get(PointFiles.Replica) is { } replica)
        {
            return await PointFiles.ExportAsync(c, replica, Path.GetFullPath(c.Get(_folder)!), c.Get(_format), ct); // --to is required
        }

        string folder = c.Get(_folder)!; // as above
        if (!Path.IsPathFullyQualified(folder))
        {
            throw new ErrorException(Errors.BadValue("--to", folder, "it is a folder of the target host: its full path is wanted, such as /srv/export"));
        }

        ExportDto request = new(folder, c.Get(_format));
        return await JobWatch.FollowAsync(
            c, await c.Vault.ExportPointAsync(PointFiles.Required(c, _vmOrFolder, "VM"), PointFiles.Required(c, _pointOrFolder, "point"), request, ct), ct);
    }

    private static async Task<ExitCode> TakeBackAsync(CommandContext c, CancellationToken ct) =>
        await JobWatch.FollowAsync(c, await c.Vault.TakeMountBackAsync(c.Get(_vm), c.Get(_mount), ct), ct);

    private static async Task<ExitCode> DeleteAsync(CommandContext c, CancellationToken ct)
    {
        string branch = c.Get(_branch);
        if (c.Get(_confirm) is null && (await c.Vault.ListBranchesAsync(c.Get(_vm), ct)).FirstOrDefault(candidate => candidate.Name == branch) is { } found)
        {
            c.Io.Error.WriteLine($"{found.Name}: {found.Kind.Word()} at {found.Host}, {Show.Bytes(found.Bytes)}. These files go, and with the old disks of a source its VM there:");
            foreach (string disk in found.Disks)
            {
                c.Io.Error.WriteLine($"  {disk}");
            }
        }

        string? word = c.Get(_confirm) ?? await Asking.WordAsync(c, branch, "delete it for good", ct);
        return await JobWatch.FollowAsync(c, await c.Vault.DeleteBranchAsync(c.Get(_vm), branch, word, ct), ct);
    }

    private static void One(PointDto point, TextWriter output) => Show.Facts(
        output,
        ("id", point.Id),
        ("cut at", Show.Time(point.CutAt)),
        ("kind", point.Kind.Word()),
        ("label", point.Label),
        ("marks", point.Marks.Count == 0 ? null : string.Join(", ", point.Marks)));

    private static void List(IReadOnlyList<PointDto> points, TextWriter output)
    {
        Table table = new("cut at", "marks", "label", "id");
        foreach (PointDto point in points)
        {
            table.Row(Show.Time(point.CutAt), string.Join(", ", point.Marks), point.Label, point.Id);
        }

        table.WriteTo(output);
    }

    private static void ListBranches(IReadOnlyList<BranchDto> branches, TextWriter output)
    {
        Table table = new("branch", "what", "at", "goes", "size", "used by", "label", "from point");
        foreach (BranchDto branch in branches)
        {
            table.Row(branch.Name, branch.Kind.Word(), branch.Host, branch.ExpiresAt is { } at ? Show.Time(at) : "only by name",
                Show.Bytes(branch.Bytes), string.Join(", ", branch.UsedBy), branch.Label, branch.Point);
        }

        table.WriteTo(output);
    }
}
