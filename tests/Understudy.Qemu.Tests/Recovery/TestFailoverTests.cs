using System.Diagnostics;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Runs;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>TST-1 and TST-2 with real QEMU, libvirt and storage daemons.</summary>
[Collection(LibvirtCollection.Name)]
public sealed class TestFailoverTests(PrivateHost libvirtHost, ITestOutputHelper output) : IAsyncLifetime
{
    private RecoverySite _site = null!; // Set before each test.

    public async ValueTask InitializeAsync() => _site = await RecoverySite.CreateAsync(libvirtHost);

    public ValueTask DisposeAsync() => _site.DisposeAsync();

    [Fact]
    public async Task An_exported_point_holds_what_the_source_had_at_its_cut()
    {
        RecoveryPointId first = await _site.Source.PointAsync(_site.Host.Sink);
        RecoveryPointId second = await _site.Source.PointAsync(_site.Host.Sink);
        foreach (RecoveryPointId point in (RecoveryPointId[])[first, second])
        {
            IReadOnlyList<string> files = await _site.Host.ExportPointAsync(point, _site.At($"export-{point.Sequence}"), "qcow2", default);
            Assert.Equal(_site.Source.Content[point][0], await _site.ReadImageAsync(files[0]));
            Assert.Equal(_site.Source.Content[point][1], await _site.ReadImageAsync(files[1]));
        }

        Assert.Empty(_site.Host.Status.Replica!.Pins);
    }

    [Fact]
    public async Task A_test_runs_beside_replication_and_leaves_nothing()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink);
        await _site.Source.PointAsync(_site.Host.Sink);

        long began = Stopwatch.GetTimestamp();
        TestStarted started = await _site.Host.StartTestAsync(RecoverySite.Test(point), default);
        output.WriteLine($"command to QEMU running: {Stopwatch.GetElapsedTime(began).TotalMilliseconds:0} ms");
        output.WriteLine(string.Join('\n', started.Made));
        VmId vm = _site.Host.Status.Tests[0].TestVm;
        Assert.Equal(VmRunState.Running, await _site.Hypervisor.GetRunStateAsync(vm, default));

        // The guest writes; the source goes on; the oldest point moves past the tested one.
        await _site.GuestWriteAsync(vm, 0, 0xee, 0, 4 << 20);
        RecoveryPointId newest = await _site.Source.PointAsync(_site.Host.Sink, blocks: 40);
        await _site.Host.ConfigureAsync(TimeSpan.Zero, default);
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(50));
        while (_site.Host.Points[0].Id != newest)
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }

        // The guest still reads its point where it has not written.
        string overlay = _site.Host.Status.Tests[0].Disks[1].Overlay;
        Assert.Equal(_site.Source.Content[point][1], await _site.ReadImageAsync(overlay));

        await _site.Host.CompleteTestAsync(RecoverySite.Test(point).Id, "looks good", default);
        Assert.Equal(VmRunState.Absent, await _site.Hypervisor.GetRunStateAsync(vm, default));
        Assert.DoesNotContain(await _site.Hypervisor.ListNetworksAsync(default), network => network.Name == started.Network);
        Assert.Equal(["vda-0.qcow2", "vdb-1.qcow2"], _site.PoolFiles());
        Assert.All(await _site.Daemons.ListAsync(default), daemon => Assert.StartsWith("base-", daemon, StringComparison.Ordinal));
        Assert.Empty(_site.Host.Status.Replica!.Pins);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_site.At("log")));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_site.At("state/tests")));

        // Nothing of the replica was changed by it.
        IReadOnlyList<string> files = await _site.Host.ExportPointAsync(newest, _site.At("export"), "raw", default);
        Assert.Equal(_site.Source.Content[newest][0], await File.ReadAllBytesAsync(files[0], TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Two_tests_of_different_points_stand_side_by_side()
    {
        RecoveryPointId first = await _site.Source.PointAsync(_site.Host.Sink);
        RecoveryPointId second = await _site.Source.PointAsync(_site.Host.Sink);
        TestStarted one = await _site.Host.StartTestAsync(RecoverySite.Test(first, 1), default);
        TestStarted two = await _site.Host.StartTestAsync(RecoverySite.Test(second, 2), default);
        Assert.Equal(("web1-test", "web1-test-2"), (one.VmName, two.VmName));
        Assert.NotEqual(one.Network, two.Network);
        foreach (TestRecord test in _site.Host.Status.Tests)
        {
            Assert.Equal(_site.Source.Content[test.Point][0], await _site.ReadImageAsync(test.Disks[0].Overlay));
        }
    }

    [Fact]
    public async Task A_killed_agent_is_a_wait_for_the_guest_and_the_next_one_knows_the_test()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        await _site.Host.StartTestAsync(RecoverySite.Test(point), default);
        string overlay = _site.Host.Status.Tests[0].Disks[0].Overlay;
        await _site.KillAgentAsync();
        Task<byte[]> read = _site.ReadImageAsync(overlay);
        await _site.StartAgentAsync();
        Assert.Equal(_site.Source.Content[point][0], await read);
        TestRecord test = Assert.Single(_site.Host.Status.Tests);
        Assert.Equal(VmRunState.Running, await _site.Hypervisor.GetRunStateAsync(test.TestVm, default));
        await _site.Host.CompleteTestAsync(test.Id, null, default);
        Assert.Equal(["vda-0.qcow2", "vdb-1.qcow2"], _site.PoolFiles());
    }

    [Fact]
    public async Task A_guest_whose_storage_daemon_was_killed_goes_on_after_the_watcher_has_seen_it()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        await _site.Host.StartTestAsync(RecoverySite.Test(point), default);
        TestRecord test = _site.Host.Status.Tests[0];
        string daemon = (await _site.Daemons.ListAsync(default)).Single(name => name.StartsWith("run-", StringComparison.Ordinal));
        int process = (await _site.Daemons.FindAsync(daemon, default))!.ProcessId;
        await QemuFolder.Kill(process);
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(50));
        while (await _site.Daemons.FindAsync(daemon, default) is null)
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }

        // Reads what it has not written, through QEMU's new connection: retried until the watcher has reopened it.
        while (await _site.GuestIoAsync(test.TestVm, 0, "read -v 0 512") is var said && said != "\"\"")
        {
            output.WriteLine(said);
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }

        // Where an error has paused it, it is resumed.
        while (await _site.Hypervisor.GetRunStateAsync(test.TestVm, default) != VmRunState.Running)
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task A_guest_reads_on_while_the_replica_under_it_is_opened_anew_after_a_failed_flush()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 100);
        await _site.Host.StartTestAsync(RecoverySite.Test(point), default);
        VmId vm = _site.Host.Status.Tests[0].TestVm;
        int reads = 0;
        bool stop = false;
        Task reading = ReadAsync();
        for (int i = 0; i < 3; i++)
        {
            _site.Journal.FailingFlushes = 1;
            await Assert.ThrowsAsync<StorageException>(() => _site.Source.PointAsync(_site.Host.Sink));
            using PeriodicTimer look = new(TimeSpan.FromMilliseconds(50));
            int before = reads;
            while (!_site.Host.IsWell || reads < before + 5)
            {
                await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
            }

            _site.Source.Continue(_site.Host.Sink.ReceivedSequence);
        }

        stop = true;
        await reading;
        output.WriteLine($"{reads} reads");
        Assert.Equal(VmRunState.Running, await _site.Hypervisor.GetRunStateAsync(vm, default));
        Assert.Equal(_site.Source.Content[point][0], await _site.ReadImageAsync(_site.Host.Status.Tests[0].Disks[0].Overlay));

        async Task ReadAsync()
        {
            for (; !stop; reads++)
            {
                string said = await _site.GuestIoAsync(vm, 0, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"read -q {reads % 256 * 65536} 65536"));
                Assert.Equal("\"\"", said);
            }
        }
    }
}
