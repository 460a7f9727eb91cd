using System.Diagnostics;
using Understudy.Agent;
using Understudy.Agent.Places;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Protection.Guard;
using Understudy.Protection.Ports;
using HostFacts = Understudy.Protection.Ports.HostFacts;

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
        await place.RequireThereAsync();
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
        Assert.Contains("not mounted", await RefusalAsync(place), StringComparison.Ordinal);
        Directory.CreateDirectory(Pool); // an empty mount point
        Assert.Contains("not mounted", await RefusalAsync(place), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(Pool));
        await PoolMark.EnsureAsync(Pool, Guid.NewGuid(), Ct);
        Assert.Contains("another disk", await RefusalAsync(place), StringComparison.Ordinal);

        Directory.Delete(Pool, recursive: true);
        Directory.Move(Pool + ".away", Pool);
        await place.RequireThereAsync();
    }

    /// <summary>Its token is gone with the pool; the guard's file is the agent's own, and would deny the VM's start here for ever.</summary>
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, true)]
    public async Task Of_a_replica_whose_pool_is_gone_for_good_no_guard_stays(bool isSourceToo, bool guarded)
    {
        ReplicaPlace place = await PutAsync();
        string guard = Path.Combine(_root, "guard");
        string spool = Path.Combine(_root, "spool");
        string file = Path.Combine(Directory.CreateDirectory(guard).FullName, new VmId(_vm).ToString());
        await File.WriteAllTextAsync(file, "state denied", Ct);
        if (isSourceToo)
        {
            Directory.CreateDirectory(Path.Combine(spool, new VmId(_vm).ToString()));
        }

        LostReplicas lost = new(new GuardFolder(new FolderStore(guard), "boot", 0), spool);
        Assert.False(LostReplicas.IsLost(Folder, place)); // its pool may come back
        ReplicaPlace.Delete(Folder);
        Assert.True(LostReplicas.IsLost(Folder, ReplicaPlace.TryRead(Folder)));

        await lost.LetStartAsync(Folder, Ct);

        Assert.Equal(guarded, File.Exists(file));
    }

    [Fact]
    public async Task A_pool_keeps_its_mark_when_a_second_replica_comes_and_nothing_when_the_last_one_goes()
    {
        Guid mark = (await PutAsync()).Mark;
        await PoolMark.EnsureAsync(Pool, Guid.NewGuid(), Ct);
        Assert.Equal(mark, await PoolMark.ReadAsync(Pool));
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

    [Fact]
    public async Task A_mark_that_cannot_be_read_is_not_written_anew()
    {
        ReplicaPlace place = await PutAsync();
        string mark = Path.Combine(Pool, "understudy", "pool.json");
        await File.WriteAllTextAsync(mark, "{", Ct);

        Assert.Contains("cannot be read", await RefusalAsync(place), StringComparison.Ordinal);
        Assert.Contains("cannot be read", await NewReplicaRefusalAsync(), StringComparison.Ordinal);
        Assert.Equal("{", await File.ReadAllTextAsync(mark, Ct));
    }

    /// <summary>A pipe that nobody writes answers as a share does whose server is gone: not at all.</summary>
    [Fact]
    public async Task A_pool_that_hangs_is_unavailable_and_keeps_nobody()
    {
        ReplicaPlace place = await PutAsync();
        string mark = Path.Combine(Pool, "understudy", "pool.json");
        File.Delete(mark);
        using (Process made = Process.Start("mkfifo", mark))
        {
            await made.WaitForExitAsync(Ct);
        }

        Task<string> first = RefusalAsync(place);
        Assert.Contains("has not answered", await RefusalAsync(place), StringComparison.Ordinal);
        Assert.Contains("has not answered", await first, StringComparison.Ordinal);

        await File.WriteAllTextAsync(mark, "{", Ct); // lets the reader go
    }

    [Fact]
    public async Task A_replica_is_given_up_when_its_pool_is_gone_and_nothing_is_touched_where_the_pool_was()
    {
        ReplicaPlace place = await PutAsync();
        using PoolPlaces places = Places();
        Assert.Equal("replica-there", (await Assert.ThrowsAsync<ErrorException>(() => PoolPlaces.RequireGoneAsync(Folder))).Error.Code);
        Directory.Delete(Pool, recursive: true);
        Directory.CreateDirectory(Pool);
        await PoolMark.EnsureAsync(Pool, Guid.NewGuid(), Ct); // another disk

        Assert.Equal(place, await PoolPlaces.RequireGoneAsync(Folder));
        places.GiveUp(place, Folder);

        Assert.False(Directory.Exists(Folder));
        Assert.NotNull(await PoolMark.ReadAsync(Pool));
        Assert.Null(await PoolPlaces.RequireGoneAsync(Folder)); // and said again
    }

    [Fact]
    public async Task A_new_replica_is_not_put_below_a_mount_point_whose_pool_is_away()
    {
        await PutAsync();
        Directory.Move(Pool, Pool + ".away");
        Directory.CreateDirectory(Pool);

        Assert.Contains("web1", await NewReplicaRefusalAsync(), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(Pool));
    }

    [Fact]
    public async Task Choosing_a_pool_makes_nothing_in_it()
    {
        Directory.CreateDirectory(Pool);
        Directory.CreateDirectory(Path.Combine(_root, "replicas"));

        ReplicaPlace chosen = await ChooseAsync();
        Assert.Empty(Directory.GetFileSystemEntries(Pool));

        using PoolPlaces places = Places();
        await places.TakeAsync(chosen, Folder, Ct);
        await chosen.RequireThereAsync();
        Assert.Equal(chosen, ReplicaPlace.TryRead(Folder));
    }

    private PoolPlaces Places() => new(Path.Combine(_root, "replicas"), new OnePool(Pool), new SystemIds());

    private async Task<ReplicaPlace> ChooseAsync()
    {
        using PoolPlaces places = Places();
        return await places.ChooseAsync(
            "tank",
            new ReplicaCreateRequest(new VmId(Guid.NewGuid()), "web2", new ReplicaId(Guid.NewGuid()), new HostId(Guid.NewGuid()), "web2", [], new ReplicaSettings(TimeSpan.FromHours(1))),
            Ct);
    }

    private async Task<string> NewReplicaRefusalAsync()
    {
        ErrorInfo error = (await Assert.ThrowsAsync<ErrorException>(ChooseAsync)).Error;
        Assert.Equal("pool-unusable", error.Code);
        return error.Why;
    }

    private static async Task<string> RefusalAsync(ReplicaPlace place)
    {
        ErrorInfo error = (await Assert.ThrowsAsync<ErrorException>(place.RequireThereAsync)).Error;
        Assert.Equal("replica-unavailable", error.Code);
        return error.Why;
    }

    private async Task<ReplicaPlace> PutAsync()
    {
        Directory.CreateDirectory(Pool);
        Directory.CreateDirectory(Path.Combine(_root, "replicas"));
        Guid mark = Guid.NewGuid();
        await PoolMark.EnsureAsync(Pool, mark, Ct);
        ReplicaPlace place = new("tank", Pool, mark, _vm, Guid.NewGuid(), Guid.NewGuid(), "web1");
        await place.WriteAsync(Folder, Ct);
        return place;
    }

    private sealed class OnePool(string path) : IVmInventory
    {
        public ValueTask<HostFacts> GetHostAsync(CancellationToken cancellationToken) =>
            new(new HostFacts("here", "9.0", "7.2", false, 1, 1, 1, [], [], Pools: [new PoolFacts("tank", "dir", path, Active: true)]));

        public ValueTask<IReadOnlyList<VmFacts>> ListVmsAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<VmFacts?> FindVmAsync(VmId vm, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<string> GetDefinitionAsync(VmId vm, DefinitionKind kind, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
