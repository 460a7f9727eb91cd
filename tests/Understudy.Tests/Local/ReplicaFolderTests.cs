using Understudy.Agent;
using Understudy.Model;
using Understudy.Tests.CommandLine;

namespace Understudy.Tests.Local;

/// <summary>`point export --replica`: who may read a replica's folder, and what is said where there is none.</summary>
public sealed class ReplicaFolderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("us-agent-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_folder_without_a_replica_is_no_such_thing()
    {
        CommandRun run = await CommandRun.OfAsync(["point", "export", "--replica", _folder, "--to", Path.Combine(_folder, "out")]);

        Assert.Equal(5, run.ExitCode);
        Assert.Contains("replica-folder-unusable", run.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(_folder, "out")));
    }

    [Fact]
    public async Task A_replica_that_an_agent_has_is_refused()
    {
        string replica = Path.Combine(_folder, Guid.NewGuid().ToString());
        Directory.CreateDirectory(Path.Combine(replica, "replica"));
        Directory.CreateDirectory(Path.Combine(replica, "host"));
        using ReplicasLock agent = ReplicasLock.TakeForAgent(_folder);

        CommandRun run = await CommandRun.OfAsync(["point", "list", "--replica", replica]);

        Assert.Equal(3, run.ExitCode);
        Assert.Contains("replica-held", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Readers_share_a_folder_and_keep_an_agent_from_starting_until_they_have_gone()
    {
        using (ReplicasLock.ShareForReading(_folder))
        using (ReplicasLock.ShareForReading(_folder))
        {
            Assert.Equal("replica-held", Assert.Throws<ErrorException>(() => ReplicasLock.TakeForAgent(_folder)).Error.Code);
        }

        ReplicasLock.TakeForAgent(_folder).Dispose();
    }

    [Theory]
    [InlineData("point list")]
    [InlineData("point export --to /tmp/nowhere")]
    [InlineData("point export web1 --to /tmp/nowhere")]
    public async Task Without_a_folder_VM_and_point_are_needed(string line)
    {
        CommandRun run = await CommandRun.OfAsync(line.Split(' '), ("UNDERSTUDY_VAULT", "https://127.0.0.1:9"), ("UNDERSTUDY_TOKEN", "t"));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("value-missing", run.Error, StringComparison.Ordinal);
    }
}
