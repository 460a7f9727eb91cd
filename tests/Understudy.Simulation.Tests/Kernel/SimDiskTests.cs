using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Tests.Kernel;

/// <summary>The fault model itself: what may be lost is lost in some runs, what may not is never lost.</summary>
public sealed class SimDiskTests
{
    private static readonly byte[] Old = Filled(0x11);
    private static readonly byte[] New = Filled(0x22);

    [Fact]
    public void Flushed_content_under_a_flushed_name_survives_every_power_loss()
    {
        foreach (string state in StatesAfter(async store =>
        {
            await WriteNew(store, "f", Old);
            await store.FlushFolderAsync("", default);
        }))
        {
            Assert.Equal("old old old old", state);
        }
    }

    [Fact]
    public void An_unflushed_overwrite_is_kept_lost_or_torn_by_sector()
    {
        var states = StatesAfter(async store =>
        {
            await WriteNew(store, "f", Old);
            await store.FlushFolderAsync("", default);
            IStoreFile file = await store.OpenAsync("f", FileOpen.Existing, default);
            await file.WriteAsync(0, New, default);
        }).ToHashSet();

        Assert.Contains("old old old old", states);
        Assert.Contains("new new new new", states);
        Assert.Contains("old new old new", states); // Torn and out of order.
        Assert.DoesNotContain(states, s => s.Contains("other", StringComparison.Ordinal) || s == "missing");
    }

    [Fact]
    public void An_unflushed_name_may_vanish_with_its_flushed_content()
    {
        var states = StatesAfter(store => WriteNew(store, "f", Old)).ToHashSet();
        Assert.Equal(["missing", "old old old old"], states.Order());
    }

    [Fact]
    public void An_unflushed_rename_shows_the_old_or_the_new_file_and_nothing_else()
    {
        var states = StatesAfter(async store =>
        {
            await WriteNew(store, "f", Old);
            await store.FlushFolderAsync("", default);
            await WriteNew(store, "f.new", New);
            await store.RenameAsync("f.new", "f", default);
        }).ToHashSet();

        Assert.Equal(["new new new new", "old old old old"], states.Order());
    }

    [Fact]
    public void A_write_that_arrives_while_a_flush_runs_is_not_covered_by_it()
    {
        var states = StatesAfter(async store =>
        {
            await WriteNew(store, "f", Old);
            await store.FlushFolderAsync("", default);
            IStoreFile file = await store.OpenAsync("f", FileOpen.Existing, default);
            ValueTask flush = file.FlushAsync(default);
            await file.WriteAsync(0, New, default);
            await flush;
        }).ToHashSet();

        Assert.Contains("old old old old", states);
    }

    [Fact]
    public void A_failed_flush_is_final_and_may_drop_what_was_dirty()
    {
        var seen = new HashSet<string>();
        for (ulong seed = 1; seed <= 60; seed++)
        {
            Run(seed, async (host, process) =>
            {
                IFileStore store = host.Disk.OpenStore(process, "");
                await WriteNew(store, "f", Old);
                IStoreFile file = await store.OpenAsync("f", FileOpen.Existing, default);
                await file.WriteAsync(0, New, default);
                host.Disk.Faults.FlushFailure = 1;
                StorageException failed = await Assert.ThrowsAsync<StorageException>(async () => await file.FlushAsync(default));
                Assert.Equal(FaultKind.FlushFailed, failed.Kind);
                host.Disk.Faults.Clear();
                StorageException dead = await Assert.ThrowsAsync<StorageException>(async () => await file.FlushAsync(default));
                Assert.Equal(FaultKind.Closed, dead.Kind);
                seen.Add(await Describe(store));
            });
        }

        Assert.Contains("old old old old", seen);
        Assert.True(seen.Count > 2, string.Join(" | ", seen));
    }

    [Fact]
    public void A_full_disk_refuses_growth_and_takes_overwrites() => Run(1, async (host, process) =>
    {
        IFileStore store = host.Disk.OpenStore(process, "");
        await WriteNew(store, "f", Old);
        host.Disk.Faults.Full = true;
        IStoreFile file = await store.OpenAsync("f", FileOpen.Existing, default);
        await file.WriteAsync(0, New, default);
        StorageException full = await Assert.ThrowsAsync<StorageException>(async () => await file.WriteAsync(Old.Length, New, default));
        Assert.Equal(FaultKind.Full, full.Kind);
        Assert.Equal(0, await store.GetFreeBytesAsync(default));
    });

    [Fact]
    public void A_kill_leaves_the_page_cache_and_part_of_the_write_it_interrupts()
    {
        var seen = new HashSet<string>();
        for (ulong seed = 1; seed <= 60; seed++)
        {
            var simulator = new Simulator(seed);
            simulator.Run(async () =>
            {
                var host = new SimHost(simulator, "a");
                SimProcess writer = host.Start("writer", async self =>
                {
                    IFileStore store = host.Disk.OpenStore(self, "");
                    await WriteNew(store, "f", Old);
                    IStoreFile file = await store.OpenAsync("f", FileOpen.Existing, default);
                    ValueTask write = file.WriteAsync(0, New, default);
                    self.Kill();
                    await write;
                });
                await writer.Ended;
                SimProcess reader = host.Start("reader", async self => seen.Add(await Describe(host.Disk.OpenStore(self, ""))));
                await reader.Ended;
                Assert.Null(reader.Failure);
            });
        }

        Assert.Contains("old old old old", seen);
        Assert.Contains("new new new new", seen);
        Assert.Contains("new new old old", seen);
    }

    private static IEnumerable<string> StatesAfter(Func<IFileStore, Task> work)
    {
        for (ulong seed = 1; seed <= 200; seed++)
        {
            string state = "";
            var simulator = new Simulator(seed);
            simulator.Run(async () =>
            {
                var host = new SimHost(simulator, "a");
                SimProcess before = host.Start("before", async self =>
                {
                    await work(host.Disk.OpenStore(self, ""));
                    host.PowerLoss();
                });
                await before.Ended;
                Assert.Null(before.Failure);
                host.Boot();
                SimProcess after = host.Start("after", async self => state = await Describe(host.Disk.OpenStore(self, "")));
                await after.Ended;
                Assert.Null(after.Failure);
            });
            yield return state;
        }
    }

    private static void Run(ulong seed, Func<SimHost, SimProcess, Task> body)
    {
        var simulator = new Simulator(seed);
        simulator.Run(async () =>
        {
            var host = new SimHost(simulator, "a");
            SimProcess process = host.Start("p", self => body(host, self));
            await process.Ended;
            Assert.Null(process.Failure);
        });
    }

    private static async Task WriteNew(IFileStore store, string name, byte[] content)
    {
        IStoreFile file = await store.OpenAsync(name, FileOpen.New, default);
        await file.WriteAsync(0, content, default);
        await file.FlushAsync(default);
        await file.DisposeAsync();
    }

    private static async Task<string> Describe(IFileStore store)
    {
        if (!(await store.ListAsync("", default)).Any(e => e.Name == "f"))
        {
            return "missing";
        }

        IStoreFile file = await store.OpenAsync("f", FileOpen.Read, default);
        byte[] content = new byte[Old.Length];
        Assert.Equal(content.Length, await file.ReadAsync(0, content, default));
        return string.Join(' ', content.Chunk(512).Select(sector =>
            sector.All(b => b == 0x11) ? "old" : sector.All(b => b == 0x22) ? "new" : "other"));
    }

    private static byte[] Filled(byte value)
    {
        byte[] bytes = new byte[2048];
        bytes.AsSpan().Fill(value);
        return bytes;
    }
}
