using Understudy.Agent;
using Understudy.Agent.Places;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Tests.Places;

/// <summary>A replica in a storage pool: found where it is, and never taken for one that is gone.</summary>
public sealed class ReplicaPlaceTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("us-place-").FullName;
    private readonly Guid _vm = Guid.NewGuid();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private string Pool => Path.Combine(_root, "pool");

    private string Folder => Path.Combine(_root, "replicas", new VmId(_vm).ToString());

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Files_of_a_replica_in_a_pool_are_in_the_pool_laid_out_as_the_agents_own()
    {
        ReplicaPlace place = await PutAsync();
        place.RequireThere();
        ReplicaFolders.Stores(Folder);

        Assert.Equal(Path.Combine(Pool, "understudy/replicas", new VmId(_vm).ToString(), "host"), ReplicaFolders.StateOf(Folder));
        Assert.Equal(["host", "replica"], Directory.GetDirectories(place.DataFolder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(["place.json"], Directory.GetFileSystemEntries(Folder).Select(Path.GetFileName));
        Assert.NotNull(ReplicaFolders.TryFind(Folder));
        Assert.Equal(place, ReplicaPlace.TryRead(Folder));
    }

    [Fact]
    public async Task A_pool_that_is_not_mounted_is_no_missing_replica_and_neither_is_another_disk_in_its_place()
    {
        ReplicaPlace place = await PutAsync();
        Directory.Move(Pool, Pool + ".away");
        Assert.Contains("not mounted", Refusal(place), StringComparison.Ordinal);
        Directory.CreateDirectory(Pool); // an empty mount point
        Assert.Contains("not mounted", Refusal(place), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(Pool));
        await PoolMark.EnsureAsync(Pool, Guid.NewGuid(), Ct);
        Assert.Contains("another disk", Refusal(place), StringComparison.Ordinal);

        Directory.Delete(Pool, recursive: true);
        Directory.Move(Pool + ".away", Pool);
        place.RequireThere();
    }

    [Fact]
    public async Task A_pool_keeps_its_mark_when_a_second_replica_comes_and_nothing_when_the_last_one_goes()
    {
        Guid mark = (await PutAsync()).Mark;
        Assert.Equal(mark, await PoolMark.EnsureAsync(Pool, Guid.NewGuid(), Ct));
        PoolMark.Remove(Pool);
        Assert.Empty(Directory.GetFileSystemEntries(Pool));
    }

    [Fact]
    public async Task Disks_of_a_vm_that_stays_are_left_in_the_pool()
    {
        await PutAsync();
        string disk = Path.Combine(PoolMark.ImagesOf(Pool), "web1", "vda-0.qcow2");
        Directory.CreateDirectory(Path.GetDirectoryName(disk)!); // has one
        await File.WriteAllTextAsync(disk, "guest", Ct);
        PoolMark.Remove(Pool);
        Assert.True(File.Exists(disk));
    }

    [Fact]
    public async Task A_record_that_cannot_be_read_is_an_error_and_not_a_replica_of_the_agents_own_folder()
    {
        await PutAsync();
        await File.WriteAllTextAsync(Path.Combine(Folder, "place.json"), "{", Ct);
        Assert.Throws<Blocks.StorageException>(() => ReplicaFolders.Stores(Folder));
    }

    private static string Refusal(ReplicaPlace place)
    {
        ErrorInfo error = Assert.Throws<ErrorException>(place.RequireThere).Error;
        Assert.Equal("replica-unavailable", error.Code);
        return error.Why;
    }

    private async Task<ReplicaPlace> PutAsync()
    {
        Directory.CreateDirectory(Pool);
        Directory.CreateDirectory(Path.Combine(_root, "replicas"));
        ReplicaPlace place = new("tank", Pool, await PoolMark.EnsureAsync(Pool, Guid.NewGuid(), Ct), _vm, Guid.NewGuid(), Guid.NewGuid(), "web1");
        await place.WriteAsync(Folder, Ct);
        return place;
    }
}
