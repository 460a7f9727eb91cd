using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Agent.Seeds;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Protection.Target.Seeds;
using Understudy.Qemu;

namespace Understudy.Tests.Agent;

/// <summary>What a first copy may begin with, on real images: each reason against it has its own word, and a seed is never changed.</summary>
public sealed class SeedCheckTests : IDisposable
{
    private const int Mebibyte = 1024 * 1024;
    private static readonly DiscoveredDisk[] _disks = [Disk("vda", 8 * Mebibyte), Disk("vdb", 2 * Mebibyte)];
    private readonly string _folder = Directory.CreateTempSubdirectory("us-seed-").FullName;
    private readonly HostSeeds _seeds;
    private readonly SeedCheck _check;

    public SeedCheckTests()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/qemu-img"), "needs qemu-img and qemu-nbd (Debian: qemu-utils)");
        QemuSettings qemu = new() { DaemonFolder = At("daemons") };
        _seeds = new HostSeeds(At("run"), qemu, new LocalSockets(), NullLogger.Instance);
        _check = new SeedCheck(_seeds, new ImageTool(qemu));
    }

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("raw")]
    [InlineData("qcow2")]
    [InlineData("vmdk")]
    [InlineData("vhdx")]
    [InlineData("vpc")]
    public async Task An_image_of_any_format_is_read_and_left_as_it_was(string format)
    {
        byte[] content = new byte[8 * Mebibyte];
        new Random(1).NextBytes(content.AsSpan(Mebibyte, Mebibyte));
        await File.WriteAllBytesAsync(At("content"), content, Ct);
        string image = At($"disk.{format}");
        await RunAsync("qemu-img", "convert", "-f", "raw", "-O", format, At("content"), image);
        byte[] before = await File.ReadAllBytesAsync(image, Ct);

        SeedPlace place = Assert.Single((await _check.RunAsync([new DiskSeed("vda", image)], _disks, Ct)).Places);
        Assert.Equal(new SeedPlace("vda", image, format), place);
        await using (IBlockDevice device = await _seeds.OpenAsync(place, Ct))
        {
            byte[] read = new byte[content.Length];
            await device.ReadAsync(0, read, Ct);
            Assert.Equal(content, read);
            IReadOnlyList<BlockExtent> extents = await Assert.IsAssignableFrom<IExtentSource>(device).GetExtentsAsync(new ByteRange(0, content.Length), Ct);
            Assert.True(format is "vhdx" || extents.Any(extent => extent.Kind != ExtentKind.Data), "empty parts are read"); // One block of that has 8 MiB.
            await Assert.ThrowsAsync<StorageException>(async () => await device.WriteAsync(0, read, Ct));
        }

        Assert.Equal(before, await File.ReadAllBytesAsync(image, Ct));
        Assert.Empty(Directory.EnumerateFileSystemEntries(At("run/seeds")));
    }

    [Fact]
    public async Task What_is_in_the_way_is_named()
    {
        await File.WriteAllTextAsync(At("letter"), "Dear madam, here is the backup.", Ct);
        await File.WriteAllBytesAsync(At("empty"), [], Ct);
        await File.WriteAllBytesAsync(At("broken.qcow2"), [.. "QFI"u8, 0xfb, 0, 0, 0, 99, .. new byte[500]], Ct);
        Directory.CreateDirectory(At("folder"));
        await AssertRefusedAsync("seed-missing", new DiskSeed("vda", At("nothing")));
        await AssertRefusedAsync("seed-unusable", new DiskSeed("vda", At("letter")));
        await AssertRefusedAsync("seed-unusable", new DiskSeed("vda", At("empty")));
        await AssertRefusedAsync("seed-unusable", new DiskSeed("vda", At("broken.qcow2")));
        await AssertRefusedAsync("replica-folder-unusable", new DiskSeed(null, At("folder")));

        await RunAsync("qemu-img", "create", "-q", "-f", "raw", At("good.raw"), "8M");
        await AssertRefusedAsync("seed-unusable", new DiskSeed(null, At("good.raw"))); // Whose? The VM has two disks.
        Assert.Equal("vda", Assert.Single((await _check.RunAsync([new DiskSeed(null, At("good.raw"))], _disks[..1], Ct)).Places).TargetDevice);
        Assert.False(File.Exists(At("replicas.lock")));
    }

    [Fact]
    public async Task An_image_that_another_program_writes_is_refused_until_that_has_ended()
    {
        string image = At("busy.qcow2");
        await RunAsync("qemu-img", "create", "-q", "-f", "qcow2", image, "8M");
        using (Process writer = Process.Start(new ProcessStartInfo("qemu-nbd", ["--socket", At("busy.sock"), "--persistent", "-f", "qcow2", image]))!)
        {
            using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
            limit.CancelAfter(TimeSpan.FromSeconds(30));
            while (!File.Exists(At("busy.sock")))
            {
                await Task.Delay(20, limit.Token);
            }

            await AssertRefusedAsync("seed-in-use", new DiskSeed("vda", image));
            writer.Kill();
            await writer.WaitForExitAsync(Ct);
        }

        Assert.Single((await _check.RunAsync([new DiskSeed("vda", image)], _disks, Ct)).Places);
    }

    [Theory]
    [InlineData("4M", "the rest of its 8.0 MiB is sent")]
    [InlineData("12M", "what is behind its end of 8.0 MiB is left out")]
    [InlineData("8M", "begins with")]
    public async Task Another_size_is_said_and_in_nobodys_way(string size, string words)
    {
        await RunAsync("qemu-img", "create", "-q", "-f", "qcow2", At("size.qcow2"), size);
        Assert.Contains(words, Assert.Single((await _check.RunAsync([new DiskSeed("vda", At("size.qcow2"))], _disks, Ct)).Found), StringComparison.Ordinal);
    }

    private static DiscoveredDisk Disk(string device, long bytes) => new(device, "virtio", "disk", "qcow2", "file", "/nowhere", bytes, false, false);

    private static async Task RunAsync(params string[] command)
    {
        using Process process = Process.Start(new ProcessStartInfo(command[0], command[1..]))!;
        await process.WaitForExitAsync(Ct);
        Assert.Equal(0, process.ExitCode);
    }

    private async Task AssertRefusedAsync(string code, DiskSeed seed)
    {
        ErrorException refused = await Assert.ThrowsAsync<ErrorException>(() => _check.RunAsync([seed], _disks, Ct));
        Assert.Equal(code, refused.Error.Code);
        Assert.Contains(seed.Path, $"{refused.Error.What} {refused.Error.Why}", StringComparison.Ordinal);
    }

    private string At(string name) => Path.Combine(_folder, name);
}
