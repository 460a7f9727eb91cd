using System.Xml.Linq;

namespace Understudy.Repository.Tests;

/// <summary>The direction of references (docs/architecture.md, "Projects and their direction").</summary>
public sealed class ArrowTests
{
    /// <summary>What each project may refer to, whole: a new arrow is a change here, seen in review.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Understudy.Blocks"] = [],
        ["Understudy.Nbd"] = ["Understudy.Blocks"],
        ["Understudy.Journal"] = ["Understudy.Blocks"],
        ["Understudy.Replication"] = ["Understudy.Blocks", "Understudy.Journal"],
        ["Understudy.Protection"] = ["Understudy.Blocks", "Understudy.Nbd", "Understudy.Journal", "Understudy.Replication"],
        ["Understudy.Libvirt"] = ["Understudy.Blocks", "Understudy.Nbd", "Understudy.Protection"],
        ["Understudy.Qemu"] = ["Understudy.Blocks", "Understudy.Protection"],
        ["Understudy.Model"] = ["Understudy.Blocks"],
        ["Understudy.Plans"] = ["Understudy.Model"],
        ["Understudy.Api"] = ["Understudy.Blocks", "Understudy.Model"],
        ["Understudy.Vault"] = ["Understudy.Blocks", "Understudy.Model", "Understudy.Plans", "Understudy.Api"],
    };

    /// <summary>What runs in the simulation, and so may not touch clock, thread pool or chance.</summary>
    private static readonly string[] Simulated =
    [
        "Understudy.Blocks", "Understudy.Nbd", "Understudy.Journal", "Understudy.Replication", "Understudy.Protection",
        "Understudy.Model", "Understudy.Plans",
    ];

    public static TheoryData<string> Projects => [.. SourceProjects().Select(Name)];

    [Theory]
    [MemberData(nameof(Projects))]
    public void Project_refers_only_to_what_its_place_allows(string project)
    {
        if (project == "Understudy")
        {
            return; // The executable wires everything: the only one that may see all.
        }

        Assert.True(Allowed.ContainsKey(project), $"{project} has no place in the arrows: add it to {nameof(ArrowTests)} and docs/architecture.md");
        string[] references = [.. Load(project).Descendants("ProjectReference").Select(e => Name(e.Attribute("Include")!.Value))];
        Assert.Empty(references.Except(Allowed[project]));
    }

    [Fact]
    public void Nothing_refers_to_the_executable()
    {
        Assert.DoesNotContain(SourceProjects(), file => XDocument.Load(file).Descendants("ProjectReference")
            .Any(e => Name(e.Attribute("Include")!.Value) == "Understudy"));
    }

    [Fact]
    public void Simulated_projects_are_marked_so_that_the_banned_symbols_bind_them()
    {
        Assert.All(Simulated, project => Assert.Equal("true", Load(project).Descendants("Simulated").SingleOrDefault()?.Value));
    }

    [Theory]
    [InlineData("Understudy.Blocks")]
    [InlineData("Understudy.Nbd")]
    [InlineData("Understudy.Journal")]
    [InlineData("Understudy.Replication")]
    public void Data_plane_knows_no_web_server_container_or_configuration(string project)
    {
        string folder = Path.Combine(Repository.Root, "src", project);
        string[] strangers = ["Microsoft.AspNetCore", "Microsoft.Extensions.DependencyInjection", "Microsoft.Extensions.Configuration", "Microsoft.Extensions.Hosting"];
        foreach (string file in Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories))
        {
            string text = File.ReadAllText(file);
            Assert.DoesNotContain(strangers, s => text.Contains($"using {s}", StringComparison.Ordinal));
        }
    }

    private static IEnumerable<string> SourceProjects() =>
        Directory.EnumerateFiles(Path.Combine(Repository.Root, "src"), "*.csproj", SearchOption.AllDirectories).Order(StringComparer.Ordinal);

    private static XDocument Load(string project) =>
        XDocument.Load(Path.Combine(Repository.Root, "src", project, $"{project}.csproj"));

    private static string Name(string path) => Path.GetFileNameWithoutExtension(path.Replace('\\', '/'));
}
