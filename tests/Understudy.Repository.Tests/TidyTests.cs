using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Understudy.Repository.Tests;

/// <summary>House rules that a compiler does not know.</summary>
public sealed partial class TidyTests
{
    private const int LongestFileLines = 400;

    [Fact]
    public void No_source_file_has_grown_past_its_second_idea()
    {
        var tooLong = Repository.Files("*.cs").Select(f => (Repository.Relative(f), Lines: File.ReadLines(f).Count()))
            .Where(f => f.Lines > LongestFileLines);
        Assert.Empty(tooLong);
    }

    [Fact]
    public void Every_package_has_its_reason_in_the_decisions()
    {
        string reasons = File.ReadAllText(Path.Combine(Repository.Root, "docs/decisions/packages.md"));
        var packages = XDocument.Load(Path.Combine(Repository.Root, "Directory.Packages.props"))
            .Descendants("PackageVersion").Select(e => e.Attribute("Include")!.Value);
        Assert.All(packages, p => Assert.Contains($"`{p}`", reasons, StringComparison.Ordinal));
    }

    [Fact]
    public void Package_versions_are_exact()
    {
        var versions = XDocument.Load(Path.Combine(Repository.Root, "Directory.Packages.props"))
            .Descendants("PackageVersion").Select(e => e.Attribute("Version")!.Value);
        Assert.All(versions, v => Assert.Matches(ExactVersion(), v));
    }

    [Fact]
    public void Links_in_the_documents_lead_somewhere()
    {
        List<string> broken = [];
        foreach (string file in Repository.Files("*.md"))
        {
            foreach (Match link in RelativeLink().Matches(File.ReadAllText(file)))
            {
                string target = Path.Combine(Path.GetDirectoryName(file)!, link.Groups[1].Value);
                if (!Path.Exists(target))
                {
                    broken.Add($"{Repository.Relative(file)}: {link.Groups[1].Value}");
                }
            }
        }

        Assert.Empty(broken);
    }

    [Fact]
    public void Paths_named_in_comments_and_documents_exist()
    {
        List<string> missing = [];
        foreach (string file in Repository.Files("*.cs").Concat(Repository.Files("*.md")))
        {
            foreach (Match path in DocumentPath().Matches(File.ReadAllText(file)))
            {
                if (!Path.Exists(Path.Combine(Repository.Root, path.Value)))
                {
                    missing.Add($"{Repository.Relative(file)}: {path.Value}");
                }
            }
        }

        Assert.Empty(missing.Distinct());
    }

    [Theory]
    [InlineData("test")]
    [InlineData("lab")]
    [InlineData("sim")]
    [InlineData("bench")]
    public void Root_commands_are_executable(string command)
    {
        string path = Path.Combine(Repository.Root, command);
        Assert.True(File.Exists(path), $"{command} is missing");
        Assert.True(File.GetUnixFileMode(path).HasFlag(UnixFileMode.UserExecute), $"{command} is not executable");
    }

    [Fact]
    public void No_key_or_certificate_is_in_the_tree()
    {
        Assert.Empty(Repository.Files("*.key").Concat(Repository.Files("*.pem")).Concat(Repository.Files("*.pfx")).Concat(Repository.Files("*.understudy-key")));
    }

    [GeneratedRegex(@"^\d+\.\d+\.\d+(\.\d+)?$")]
    private static partial Regex ExactVersion();

    [GeneratedRegex(@"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)")]
    private static partial Regex RelativeLink();

    [GeneratedRegex(@"\bdocs/[a-z0-9\-/]+\.md\b")]
    private static partial Regex DocumentPath();
}
