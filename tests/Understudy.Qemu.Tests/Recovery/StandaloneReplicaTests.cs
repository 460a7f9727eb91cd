using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Standalone;
using Understudy.Testing;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>FO-8: what is left when there is no vault, no agent and no hypervisor to ask: folders, and QEMU's tools.</summary>
[Collection(LibvirtCollection.Name)]
public sealed class StandaloneReplicaTests(PrivateHost libvirtHost) : IAsyncLifetime
{
    private readonly string _runtime = Directory.CreateTempSubdirectory("us-agent-").FullName;
    private RecoverySite _site = null!; // Set before each test.

    public async ValueTask InitializeAsync() => _site = await RecoverySite.CreateAsync(libvirtHost);

    public async ValueTask DisposeAsync()
    {
        await _site.DisposeAsync();
        Directory.Delete(_runtime, recursive: true);
    }

    [Fact]
    public async Task Every_point_of_a_killed_agents_replica_is_written_out_and_nothing_of_the_replica_is_touched()
    {
        await _site.Source.PointAsync(_site.Host.Sink);
        RecoveryPointId second = await _site.Source.PointAsync(_site.Host.Sink);
        await ApplyAsync(second);
        RecoveryPointId third = await _site.Source.PointAsync(_site.Host.Sink, blocks: 40);
        await _site.KillAgentAsync(); // Its storage daemons live on and hold the images.
        Dictionary<string, string> before = Fingerprints();
        await using (StandaloneReplica replica = await OpenAsync())
        {
            Assert.Equal([second, third], replica.Points.Select(p => p.Id));
            Assert.Equal(SourceFeed.Definition, await replica.GetDefinitionAsync(third, default));
            foreach (RecoveryPointId point in (RecoveryPointId[])[second, third])
            {
                foreach (string format in (string[])["raw", "qcow2"])
                {
                    IReadOnlyList<string> files = await replica.ExportAsync(point, _site.At($"export-{point.Sequence}-{format}"), format, default);
                    Assert.Equal(_site.Source.Content[point][0], await _site.ReadImageAsync(files[0]));
                    Assert.Equal(_site.Source.Content[point][1], await _site.ReadImageAsync(files[1]));
                }
            }
        }

        Assert.Equal(before, Fingerprints());
        Assert.Empty(Directory.EnumerateFileSystemEntries(_runtime));
    }

    [Fact]
    public async Task The_folders_may_be_another_machines_copy_with_the_images_elsewhere()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink);
        await ApplyAsync(point);
        await _site.StopAgentAsync();
        await _site.Host.DisposeAsync();
        Directory.Move(_site.At("pool/web1"), _site.At("moved"));

        await using (StandaloneReplica here = await OpenAsync())
        {
            await Assert.ThrowsAnyAsync<UnderstudyException>(async () => await here.ExportAsync(point, _site.At("never"), "raw", default));
        }

        await using StandaloneReplica replica = await OpenAsync(_site.At("moved"));
        IReadOnlyList<string> files = await replica.ExportAsync(point, _site.At("export"), "raw", default);

        Assert.Empty(Directory.EnumerateFiles(_site.At("never")));
        Assert.Equal(_site.Source.Content[point][1], await File.ReadAllBytesAsync(files[1], default));
    }

    [Fact]
    public async Task A_folder_that_is_not_empty_and_a_point_that_is_not_listed_are_refused()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink);
        await _site.StopAgentAsync();
        await _site.Host.DisposeAsync();
        await using StandaloneReplica replica = await OpenAsync();

        Assert.Equal(RefusalCode.Exists, (await Assert.ThrowsAsync<RefusedException>(async () => await replica.ExportAsync(point, _site.At("state"), "raw", default))).Code);
        Assert.Equal(RefusalCode.NoSuchPoint, (await Assert.ThrowsAsync<RefusedException>(
            async () => await replica.ExportAsync(new RecoveryPointId(SourceFeed.Line, 1), _site.At("never"), "raw", default))).Code);
        Assert.False(Directory.Exists(_site.At("never")));
    }

    /// <summary>Until the base holds the point; then history is kept again.</summary>
    private async Task ApplyAsync(RecoveryPointId point)
    {
        await _site.Host.ConfigureAsync(TimeSpan.Zero, default);
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(50));
        while (_site.Host.Status.Replica?.AppliedSequence != point.Sequence)
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }

        await _site.Host.ConfigureAsync(TimeSpan.FromHours(1), default);
    }

    private ValueTask<StandaloneReplica> OpenAsync(string? images = null)
    {
        LocalSockets sockets = new();
        StandaloneServices services = new(
            new ImageReader(_site.Settings, sockets, _runtime), new ImageTool(_site.Settings), sockets, TimeProvider.System, new SeededIdSource(9), _runtime, NullLogger.Instance);
        return StandaloneReplica.OpenAsync(services, new ReplicaStores(new FolderStore(_site.At("journal")), new FolderStore(_site.At("state"))), images, default);
    }

    private Dictionary<string, string> Fingerprints() => ((string[])["journal", "state", "pool"])
        .SelectMany(folder => Directory.EnumerateFiles(_site.At(folder), "*", SearchOption.AllDirectories))
        .ToDictionary(file => file, file => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file))));
}
