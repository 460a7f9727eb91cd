using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Qemu.Processes;

namespace Understudy.Qemu.Tests;

public sealed class StorageDaemonsTests : IAsyncLifetime
{
    private const long DiskBytes = 8 * 1024 * 1024;

    private readonly QemuFolder _folder = new();

    private string Image => _folder.At("pool/a.qcow2");

    public async ValueTask InitializeAsync() => await _folder.Images.CreateAsync(Image, "qcow2", DiskBytes, CancellationToken.None);

    public ValueTask DisposeAsync() => _folder.DisposeAsync();

    [Fact]
    public async Task A_write_to_the_export_is_in_the_image_after_the_stop()
    {
        await _folder.Daemons.EnsureAsync(Spec(writable: true), CancellationToken.None);
        await QemuFolder.Run("qemu-io", "-f", "raw", "-c", "write -P 0x5a 64k 64k", Uri("vda"));
        await _folder.Daemons.StopAsync("base", _folder.At("b.sock"), CancellationToken.None);
        Assert.DoesNotContain("verification failed", await QemuFolder.Run("qemu-io", "-c", "read -P 0x5a 64k 64k", Image), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_next_agent_adopts_a_daemon_that_serves_what_it_wants()
    {
        StorageDaemonFacts first = await _folder.Daemons.EnsureAsync(Spec(writable: true), CancellationToken.None);
        StorageDaemonFacts second = await _folder.NewDaemons().EnsureAsync(Spec(writable: true), CancellationToken.None);
        Assert.False(first.Adopted);
        Assert.Equal(first with { Adopted = true }, second);
    }

    [Fact]
    public async Task A_daemon_that_serves_something_else_is_replaced()
    {
        StorageDaemonFacts first = await _folder.Daemons.EnsureAsync(Spec(writable: true), CancellationToken.None);
        StorageDaemonFacts second = await _folder.NewDaemons().EnsureAsync(Spec(writable: false), CancellationToken.None);
        Assert.False(second.Adopted);
        Assert.NotEqual(first.ProcessId, second.ProcessId);
        (int code, _) = await QemuFolder.TryRun("qemu-io", "-f", "raw", "-c", "write 0 64k", Uri("vda"));
        Assert.NotEqual(0, code);
    }

    [Fact]
    public async Task After_the_stop_the_image_is_free_for_another_writer()
    {
        await _folder.Daemons.EnsureAsync(Spec(writable: true), CancellationToken.None);
        (int locked, string why) = await QemuFolder.TryRun("qemu-io", "-c", "write 0 64k", Image);
        Assert.NotEqual(0, locked);
        Assert.Contains("lock", why, StringComparison.Ordinal);
        await _folder.Daemons.StopAsync("base", _folder.At("b.sock"), CancellationToken.None);
        await QemuFolder.Run("qemu-io", "-c", "write 0 64k", Image);
        Assert.Null(await _folder.Daemons.FindAsync("base", CancellationToken.None));
    }

    [Fact]
    public async Task A_killed_daemon_is_seen_as_gone_and_started_again()
    {
        StorageDaemonFacts first = await _folder.Daemons.EnsureAsync(Spec(writable: true), CancellationToken.None);
        await QemuFolder.Kill(first.ProcessId);
        StorageDaemonFacts second = await _folder.NewDaemons().EnsureAsync(Spec(writable: true), CancellationToken.None);
        Assert.False(second.Adopted);
        await QemuFolder.Run("qemu-io", "-f", "raw", "-c", "write 0 64k", Uri("vda"));
    }

    /// <summary>A process in the middle of an operation on a disk that hangs takes no signal; here the signals are kept from it.</summary>
    [Fact]
    public async Task A_daemon_that_does_not_end_although_it_was_killed_is_named_and_tried_again()
    {
        StorageDaemonFacts daemon = await _folder.Daemons.EnsureAsync(Spec(writable: true), CancellationToken.None);
        List<int> signals = [];
        StorageDaemons deaf = new(
            _folder.Settings with { StopLimit = TimeSpan.FromMilliseconds(100) }, NullLogger<StorageDaemons>.Instance, (_, signal) => signals.Add(signal));

        ImageToolException stop = await Assert.ThrowsAsync<ImageToolException>(async () => await deaf.StopAsync("base", _folder.At("b.sock"), CancellationToken.None));
        ImageToolException replace = await Assert.ThrowsAsync<ImageToolException>(async () => await deaf.EnsureAsync(Spec(writable: false), CancellationToken.None));

        foreach (ImageToolException fault in (ImageToolException[])[stop, replace])
        {
            Assert.Equal(FaultClass.Transient, fault.Class);
            Assert.Contains($"process {daemon.ProcessId}", fault.Message, StringComparison.Ordinal);
            Assert.Contains("does not end although it was killed", fault.Message, StringComparison.Ordinal);
        }

        Assert.Equal([15, 9, 15, 9], signals);
        Assert.NotNull(await _folder.Daemons.FindAsync("base", CancellationToken.None)); // it is still known, and can be ended once the disk answers
        await _folder.Daemons.StopAsync("base", _folder.At("b.sock"), CancellationToken.None);
        Assert.Null(await _folder.Daemons.FindAsync("base", CancellationToken.None));
    }

    [Fact]
    public async Task A_serving_program_that_does_not_end_keeps_nobody()
    {
        ServingTool tool = ServingTool.Start(["sleep", "600"], _folder.At("none.sock"), _ => { });
        string words = await tool.EndAsync();
        Assert.Contains("does not end although it was killed", words, StringComparison.Ordinal);
        int process = int.Parse(words.Split(' ')[1], CultureInfo.InvariantCulture);
        await QemuFolder.Kill(process);
        await tool.DisposeAsync();
    }

    /// <summary>Volume groups keep qcow2 images in logical volumes, and name them by links.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_image_in_a_block_device_is_served_as_one_in_a_file(bool byLink)
    {
        await QemuFolder.Run("qemu-io", "-c", "write -P 0x5a 64k 64k", Image);
        Assert.SkipUnless(File.Exists("/dev/loop-control"), "needs loop devices");
        string device = (await QemuFolder.Run("losetup", "--find", "--show", Image)).Trim();
        try
        {
            string path = device;
            if (byLink)
            {
                path = _folder.At("volume");
                File.CreateSymbolicLink(path, device);
            }

            await _folder.Daemons.EnsureAsync(
                new StorageDaemonSpec("base", _folder.At("b.sock"), ForGuests: false, [new StorageExport("vda", new StorageBacking.Image(path, "qcow2", IsDevice: true), Writable: false)]),
                CancellationToken.None);
            Assert.DoesNotContain("verification failed", await QemuFolder.Run("qemu-io", "-r", "-f", "raw", "-c", "read -P 0x5a 64k 64k", Uri("vda")), StringComparison.Ordinal);
            await _folder.Daemons.StopAsync("base", _folder.At("b.sock"), CancellationToken.None);

            LocalSockets sockets = new();
            ServedImage served = await new ImageReader(_folder.Settings, sockets, _folder.Path).OpenAsync(path, "qcow2", CancellationToken.None);
            await served.Stream.DisposeAsync();
            await served.Server.DisposeAsync();
        }
        finally
        {
            await QemuFolder.Run("losetup", "-d", device);
        }
    }

    [Fact]
    public async Task A_process_that_got_the_pid_of_a_dead_daemon_is_left_alone()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder.Settings.DaemonFolder, "base.pid"), Environment.ProcessId.ToString(CultureInfo.InvariantCulture), TestContext.Current.CancellationToken);
        Assert.Null(await _folder.Daemons.FindAsync("base", CancellationToken.None));
        await _folder.Daemons.StopAsync("base", _folder.At("b.sock"), CancellationToken.None); // Would have ended this very test.
        Assert.False((await _folder.Daemons.EnsureAsync(Spec(writable: true), CancellationToken.None)).Adopted);
    }

    [Fact]
    public async Task A_daemon_that_cannot_open_its_image_says_why()
    {
        StorageDaemonSpec missing = new("base", _folder.At("b.sock"), ForGuests: false, [new StorageExport("vda", new StorageBacking.Image(_folder.At("none.qcow2"), "qcow2"), Writable: true)]);
        ImageToolException refused = await Assert.ThrowsAsync<ImageToolException>(async () => await _folder.Daemons.EnsureAsync(missing, CancellationToken.None));
        Assert.Contains("No such file", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_the_guests_user_can_connect_to_a_socket_for_guests()
    {
        await _folder.Daemons.EnsureAsync(Spec(writable: false) with { ForGuests = true }, CancellationToken.None);
        Assert.Equal("nobody 600", (await QemuFolder.Run("stat", "-c", "%U %a", _folder.At("b.sock"))).Trim());
    }

    [Fact]
    public async Task A_socket_path_too_long_for_the_kernel_is_refused_with_the_remedy()
    {
        StorageDaemonSpec far = Spec(writable: true) with { SocketPath = "/" + new string('x', 120) };
        Blocks.UnderstudyException refused = await Assert.ThrowsAsync<Blocks.UnderstudyException>(async () => await _folder.Daemons.EnsureAsync(far, CancellationToken.None));
        Assert.Contains("shorter", refused.Remedy, StringComparison.Ordinal);
    }

    /// <summary>The chain of a test: image, its daemon, the run's daemon over it, a qcow2 overlay on top (views.md).</summary>
    [Fact]
    public async Task An_overlay_over_a_daemon_over_a_server_waits_for_a_server_that_was_killed()
    {
        await QemuFolder.Run("qemu-io", "-c", "write -P 0x77 1M 64k", Image);
        StorageDaemonFacts server = await _folder.Daemons.EnsureAsync(Spec(writable: false), CancellationToken.None);
        StorageDaemonSpec run = new(
            "run",
            _folder.At("r.sock"),
            ForGuests: true,
            [new StorageExport("vda", new StorageBacking.Nbd(_folder.At("b.sock"), "vda", TimeSpan.FromSeconds(60)), Writable: false)]);
        await _folder.Daemons.EnsureAsync(run, CancellationToken.None);
        await _folder.Images.CreateOverlayAsync(_folder.At("over.qcow2"), new ImageBacking.Nbd(_folder.At("r.sock"), "vda"), null, CancellationToken.None);

        await QemuFolder.Kill(server.ProcessId);
        Task<string> read = QemuFolder.Run("qemu-io", "-c", "read -P 0x77 1M 64k", _folder.At("over.qcow2"));
        await _folder.Daemons.EnsureAsync(Spec(writable: false), CancellationToken.None);
        Assert.DoesNotContain("failed", await read, StringComparison.Ordinal);
    }

    private StorageDaemonSpec Spec(bool writable) =>
        new("base", _folder.At("b.sock"), ForGuests: false, [new StorageExport("vda", new StorageBacking.Image(Image, "qcow2"), writable)]);

    private string Uri(string export) => $"nbd+unix:///{export}?socket={_folder.At("b.sock")}";
}
