using System.Text.Json;
using Understudy.Blocks;
using Understudy.Nbd.Tests.Peers;
using Understudy.Testing.Devices;

namespace Understudy.Nbd.Tests.Server;

/// <summary>Our server, asked by the programs that will ask it in earnest, and by the strictest ones there are.</summary>
public sealed class RealClientTests : IDisposable
{
    private const int Size = 16 * 1024 * 1024;

    private readonly TemporaryFolder _folder = new();

    private string Socket => _folder.File("s");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Nbdinfo_sees_size_flags_description_and_contexts()
    {
        Requires("nbdinfo");
        await using ServedDisks served = await ServedDisks.OnAsync(
            Socket, ("vda", ServedDisks.Noise(Size, isReadOnly: true)), ("vdb", new MemoryBlockDevice(4096)));

        using JsonDocument list = await InfoAsync("--list", Uri(""));
        using JsonDocument infoOfA = await InfoAsync(Uri("vda"));
        using JsonDocument infoOfB = await InfoAsync(Uri("vdb"));

        Assert.Equal("newstyle-fixed", list.RootElement.GetProperty("protocol").GetString());
        Assert.True(list.RootElement.GetProperty("structured").GetBoolean());
        Assert.Equal(
            ["vda", "vdb"],
            list.RootElement.GetProperty("exports").EnumerateArray().Select(e => e.GetProperty("export-name").GetString()));
        JsonElement vda = infoOfA.RootElement.GetProperty("exports")[0];
        JsonElement vdb = infoOfB.RootElement.GetProperty("exports")[0];
        Assert.Equal(Size, vda.GetProperty("export-size").GetInt64());
        Assert.Equal("base:allocation", vda.GetProperty("contexts")[0].GetString());
        Assert.Equal(32 * 1024 * 1024, vda.GetProperty("block_size_maximum").GetInt64());
        Assert.All(["is_read_only", "can_multi_conn", "can_df", "can_flush"], flag => Assert.True(vda.GetProperty(flag).GetBoolean(), flag));
        Assert.All(["is_read_only", "can_multi_conn"], flag => Assert.False(vdb.GetProperty(flag).GetBoolean(), flag));
        Assert.All(["can_fua", "can_flush", "can_trim", "can_zero"], flag => Assert.True(vdb.GetProperty(flag).GetBoolean(), flag));
    }

    [Fact]
    public async Task Unknown_export_and_a_list_that_is_not_told_are_refused()
    {
        Requires("nbdinfo");
        await using ServedDisks served = await ServedDisks.OnAsync(Socket, ("vda", new MemoryBlockDevice(4096)));
        served.Listed = false;

        (int unknown, _, string why) = await PeerProcess.TryRunAsync("nbdinfo", Uri("vdz"));
        (int list, _, _) = await PeerProcess.TryRunAsync("nbdinfo", "--list", Uri(""));

        Assert.NotEqual(0, unknown);
        Assert.Contains("server replied with error", why, StringComparison.Ordinal);
        Assert.NotEqual(0, list);
    }

    [Fact]
    public async Task Nbdcopy_copies_out_over_several_connections()
    {
        Requires("nbdcopy");
        MemoryBlockDevice disk = ServedDisks.Noise(Size, isReadOnly: true);
        await using ServedDisks served = await ServedDisks.OnAsync(Socket, ("vda", disk));

        await PeerProcess.RunAsync("nbdcopy", "--connections=4", Uri("vda"), _folder.File("copy"));

        byte[] copy = await File.ReadAllBytesAsync(_folder.File("copy"));
        Assert.True(disk.Content.Span.SequenceEqual(copy));
    }

    [Fact]
    public async Task Nbdcopy_copies_in_with_holes_kept_and_a_flush_at_the_end()
    {
        Requires("nbdcopy");
        MemoryBlockDevice source = new(Size);
        await source.WriteAsync(1024 * 1024, ServedDisks.Noise(65536).Content, TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(_folder.File("source"), source.Content.ToArray());
        MemoryBlockDevice target = ServedDisks.Noise(Size);
        await using ServedDisks served = await ServedDisks.OnAsync(Socket, ("vda", target));

        await PeerProcess.RunAsync("nbdcopy", "--flush", _folder.File("source"), Uri("vda"));

        Assert.True(target.Content.Span.SequenceEqual(source.Content.Span));
        Assert.True(target.FlushCount > 0);
    }

    [Fact]
    public async Task Qemu_img_finds_a_served_disk_identical_and_sees_its_holes()
    {
        Requires("qemu-img");
        MemoryBlockDevice disk = new(Size);
        await disk.WriteAsync(0, ServedDisks.Noise(65536).Content, TestContext.Current.CancellationToken);
        await disk.WriteAsync(Size - 65536, ServedDisks.Noise(65536).Content, TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(_folder.File("same"), disk.Content.ToArray());
        await using ServedDisks served = await ServedDisks.OnAsync(Socket, ("vda", disk));

        string compared = await PeerProcess.RunAsync("qemu-img", "compare", "-f", "raw", "-F", "raw", Uri("vda"), _folder.File("same"));
        await PeerProcess.RunAsync("qemu-img", "convert", "-f", "raw", "-O", "qcow2", Uri("vda"), _folder.File("converted"));
        await PeerProcess.RunAsync("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", _folder.File("converted"), Uri("vda"));
        using JsonDocument map = JsonDocument.Parse(await PeerProcess.RunAsync("qemu-img", "map", "-f", "raw", "--output=json", Uri("vda")));

        Assert.Contains("Images are identical.", compared, StringComparison.Ordinal);
        Assert.Equal(
            [(0L, 65536L, true), (65536L, Size - (2 * 65536L), false), (Size - 65536L, 65536L, true)],
            map.RootElement.EnumerateArray().Select(e => (
                e.GetProperty("start").GetInt64(), e.GetProperty("length").GetInt64(), e.GetProperty("data").GetBoolean())));
    }

    [Fact]
    public async Task Qemu_io_writes_zeros_trims_and_reads_what_it_expects()
    {
        Requires("qemu-io");
        await using ServedDisks served = await ServedDisks.OnAsync(Socket, ("vda", new MemoryBlockDevice(Size)));

        string output = await PeerProcess.RunAsync(
            "qemu-io", "-f", "raw", "-d", "unmap",
            "-c", "write -P 7 1000 100000", "-c", "read -P 7 1000 100000", "-c", "read -P 0 0 1000",
            "-c", "write -z 4096 4096", "-c", "read -P 0 4096 4096", "-c", "write -z -u 8192 4096", "-c", "read -P 0 8192 4096",
            "-c", "discard 12288 4096", "-c", "write -f -P 9 0 512", "-c", "flush", "-c", "read -P 9 0 512",
            "-c", "aio_read -P 7 20000 70000", "-c", "aio_write -P 3 1M 8M", "-c", "aio_flush", "-c", "read -P 3 1M 8M",
            Uri("vda"));

        Assert.DoesNotContain("failed", output, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("error", output, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Faults_of_the_disk_reach_the_client_as_what_they_are()
    {
        Requires("qemu-io");
        await using ServedDisks served = await ServedDisks.OnAsync(Socket, ("vda", new FailingDevice(FaultKind.Full)));

        (int exitCode, string output, string errors) = await PeerProcess.TryRunAsync("qemu-io", "-f", "raw", "-c", "write 0 4096", Uri("vda"));

        Assert.Equal(1, exitCode);
        Assert.Contains("No space left on device", output + errors, StringComparison.Ordinal);
    }

    private static async Task<JsonDocument> InfoAsync(params string[] arguments) =>
        JsonDocument.Parse(await PeerProcess.RunAsync("nbdinfo", ["--json", .. arguments]));

    private static void Requires(string program) => Assert.SkipUnless(PeerProcess.Exists(program), $"needs {program}");

    private string Uri(string export) => $"nbd+unix:///{export}?socket={Socket}";
}
