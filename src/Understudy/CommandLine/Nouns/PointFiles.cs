using System.CommandLine;
using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>Points of a replica read from its folder alone, for when neither vault nor agent can be asked.</summary>
internal static class PointFiles
{
    public static Option<string?> Replica { get; } = new("--replica")
    {
        Description = "Folder of a replica (REPLICAS/VM-ID): read it here and now, without agent and vault",
    };

    public static Option<string?> Images { get; } = new("--images") { Description = "With --replica: where its base images are, when not where its host had them" };

    public static Option<string?> Point { get; } = new("--point") { Description = "With --replica: id of the point, its time, or 'latest' (default)" };

    public static async Task<ExitCode> ListAsync(CommandContext c, string folder, CancellationToken ct)
    {
        await using ReplicaFolder replica = await ReplicaFolder.OpenAsync(folder, c.Get(Images), c.Logger, ct);
        return c.Show(new PointsAnswer(replica.Points), CommandContext.Types.PointsAnswer, LocalPage.Write);
    }

    public static async Task<ExitCode> ExportAsync(CommandContext c, string folder, string to, string? format, CancellationToken ct)
    {
        await using ReplicaFolder replica = await ReplicaFolder.OpenAsync(folder, c.Get(Images), c.Logger, ct);
        return Show(c, new PointExported(await replica.ExportAsync(c.Get(Point), to, format ?? "raw", ct)));
    }

    public static ExitCode Show(CommandContext c, PointExported exported) =>
        c.Show(exported, CommandContext.Types.PointExported, (e, o) => o.WriteLine(string.Join(Environment.NewLine, e.Files)));

    /// <exception cref="ErrorException">Left out, and there is no --replica to stand for it.</exception>
    public static string Required(CommandContext c, Argument<string?> argument, string what) =>
        c.GetOptional(argument) ?? throw new ErrorException(Errors.MissingValue(what));
}
