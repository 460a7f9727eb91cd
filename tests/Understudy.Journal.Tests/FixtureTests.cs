using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Tests.Rig;

namespace Understudy.Journal.Tests;

/// <summary>
/// Replicas written by version 1 of the formats, kept in the repository: every later version must read them. They are made
/// again, only when there is a new format version to keep, with <c>UNDERSTUDY_WRITE_FIXTURES=1</c>.
/// </summary>
public sealed class FixtureTests
{
    private const string WriteVariable = "UNDERSTUDY_WRITE_FIXTURES";
    private const string ExpectedName = "expected.json";

    public static TheoryData<string> Names => ["settled", "applying", "seeded"];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_replica_of_format_1_reads_as_it_was_written(string name)
    {
        string folder = Path.Combine(FixtureFolder(), name);
        if (Environment.GetEnvironmentVariable(WriteVariable) == "1")
        {
            await WriteAsync(name, folder);
        }

        CrashDisk disk = Load(folder);
        Replica replica = await Replica.OpenAsync(TestRig.Environment(disk), default);
        Assert.Equal(File.ReadAllText(Path.Combine(folder, ExpectedName)), await DescribeAsync(replica));

        // And it can be gone on with.
        Assert.IsNotType<ApplyOutcome.BaseIsFinal>(await replica.ApplyAsync(replica.Points[^1].Id, default));
        Assert.True((await replica.VerifyAsync(null, default)).IsWhole);
        await replica.DisposeAsync();
    }

    private static async Task WriteAsync(string name, string folder)
    {
        CrashDisk disk = name == "seeded" ? await MakeSeededAsync() : await MakeAsync(stopInApply: name == "applying");
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        foreach ((string file, CrashDisk.Inode content) in disk.Names)
        {
            string path = Path.Combine(folder, file);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, content.Content);
        }

        Replica replica = await Replica.OpenAsync(TestRig.Environment(Load(folder)), default);
        File.WriteAllText(Path.Combine(folder, ExpectedName), await DescribeAsync(replica));
        await replica.DisposeAsync();
    }

    /// <summary>A bit of everything: two disks, one that grows, definitions, a hidden checkpoint, sealed segments, a pin with pre-images, a second line, divergence, a pin whose journal was cut.</summary>
    private static async Task<CrashDisk> MakeAsync(bool stopInApply)
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        FixedTime time = new();
        Replica replica = await Replica.CreateAsync(TestRig.Environment(disk, time: time), TestRig.Spec, default);
        DiskId a = new(0);
        DiskId b = new(3);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 3 * 65536), TestRig.Disk(3, 65536 + 1536)), source.SetDefinition(512));
        await replica.AppendAsync(source.Write(a, 0, Text(1, 65536)), source.Checkpoint(time.Now, hidden: true));
        List<RecoveryPointId> points = [];
        for (int i = 1; i <= 6; i++)
        {
            time.Now += TimeSpan.FromMinutes(5);
            await replica.AppendAsync(
                source.Write(a, 8192 * i, Text(i, 20_480)),
                source.Write(b, 512 * i, Text(10 * i, 1024)),
                source.Zero(a, new ByteRange(4096 * i, 12_288)),
                i == 4 ? source.SetGeometry(TestRig.Disk(0, (4 * 65536) + 512), TestRig.Disk(3, 65536 + 1536)) : source.SetDefinition(512 + i),
                source.Checkpoint(time.Now, label: i == 3 ? "before the update" : ""));
            points.Add(source.LastPoint);
            await replica.FlushAsync(default);
            if (i == 2)
            {
                await replica.ApplyAsync(points[0], default);
                await replica.AddPinAsync(points[0], "kept by the fixture", default);
                await replica.ApplyAsync(points[1], default);
            }

            if (i == 5)
            {
                Snapshot before = source.TakeSnapshot();
                await replica.AppendAsync(source.Write(b, 4096, Text(99, 2048)));
                LineId line = new(2, 0x2222);
                await replica.MintLineAsync(line, points[^1], "the fixture", default);
                source.Restore(before, line);
            }
        }

        await CutBeforeAPinAsync(replica, source, points, time);
        await replica.SetNoteAsync("a note", default);
        if (stopInApply)
        {
            int writes = 0;
            disk.BeforeChange = change =>
            {
                if (change is CrashDisk.Change.Write w && disk.Names["image-0"] == w.File && ++writes == 1)
                {
                    w.File.Write(w.Offset, w.Data.AsSpan(0, w.Data.Length / 3));
                    throw new StorageException(FaultKind.Io, "image-0", "the fixture ends here");
                }
            };
            await Assert.ThrowsAsync<StorageException>(async () => await replica.ApplyAsync(points[3], default));
            disk.BeforeChange = null;
        }

        await replica.DisposeAsync();
        return disk;
    }

    /// <summary>A base that began with a seed: one that is larger than its disk, and one that is smaller.</summary>
    private static async Task<CrashDisk> MakeSeededAsync()
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        FixedTime time = new();
        Replica replica = await Replica.CreateAsync(TestRig.Environment(disk, time: time), TestRig.Spec with { AwaitsSeed = true }, default);
        DiskId a = new(0);
        await replica.AppendAsync(
            source.SetGeometry(TestRig.Disk(0, 3 * 65536), TestRig.Disk(3, 65536 + 1536)), source.SetDefinition(512), source.Checkpoint(time.Now, hidden: true));
        await replica.FlushAsync(default);
        await replica.TakeSeedAsync(new TestSeed(new Dictionary<DiskId, byte[]> { [a] = Text(5, 4 * 65536), [new(3)] = Text(6, 700) }), default);
        for (int i = 1; i <= 3; i++)
        {
            time.Now += TimeSpan.FromMinutes(5);
            await replica.AppendAsync(
                source.Write(a, 8192 * i, Text(i, 20_480)), source.Zero(new DiskId(3), new ByteRange(0, 512)), source.Checkpoint(time.Now));
        }

        await replica.FlushAsync(default);
        await replica.DisposeAsync();
        return disk;
    }

    private static async Task CutBeforeAPinAsync(Replica replica, SourceModel source, List<RecoveryPointId> points, FixedTime time)
    {
        DiskId a = new(0);
        Snapshot cut = source.TakeSnapshot();
        time.Now += TimeSpan.FromMinutes(5);
        await replica.AppendAsync(source.Write(a, 66_560, Text(7, 70_000 / 512 * 512)), source.Checkpoint(time.Now, label: "left behind"));
        await replica.FlushAsync(default);
        await replica.AddPinAsync(source.LastPoint, "kept although the journal was cut", default);
        LineId third = new(3, 0x3333);
        await replica.MintLineAsync(third, points[^1], "the fixture", default);
        await replica.DropAfterAsync(points[^1], default);
        source.Restore(cut, third);
        time.Now += TimeSpan.FromMinutes(5);
        await replica.AppendAsync(source.Write(a, 70_656, Text(8, 4096)), source.Checkpoint(time.Now));
        await replica.FlushAsync(default);
    }

    /// <summary>Every fact and the hash of every byte that the replica promises, as text.</summary>
    private static async Task<string> DescribeAsync(Replica replica)
    {
        StringBuilder text = new();
        using MemoryStream json = new();
        using (Utf8JsonWriter writer = new(json, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            writer.WriteStartObject();
            writer.WriteString("replica", replica.Id.ToString());
            writer.WriteString("line", replica.Line.ToString());
            writer.WriteNumber("received", replica.ReceivedSequence);
            writer.WriteNumber("applied", replica.Status.AppliedSequence);
            writer.WriteString("note", replica.Status.Note);
            writer.WriteStartArray("points");
            foreach (RecoveryPointId id in replica.Points.Select(p => p.Id).Concat(replica.Status.Pins.Select(p => p.Point)))
            {
                await DescribePointAsync(replica, id, writer);
            }

            writer.WriteEndArray();
            writer.WriteStartArray("divergence");
            foreach (Divergence divergence in replica.Status.Divergence)
            {
                writer.WriteStartObject();
                writer.WriteString("parent", divergence.Parent.ToString());
                foreach ((DiskId disk, ExtentSet extents) in await replica.ReadDivergenceAsync(divergence.Parent, default))
                {
                    writer.WriteString($"disk {disk}", string.Join(" ", extents.AsEnumerable()));
                }

                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return text.Append(Encoding.UTF8.GetString(json.ToArray())).Append('\n').ToString();
    }

    private static async Task DescribePointAsync(Replica replica, RecoveryPointId id, Utf8JsonWriter writer)
    {
        PointContents contents = await replica.GetPointAsync(id, default);
        writer.WriteStartObject();
        writer.WriteString("id", id.ToString());
        writer.WriteString("kind", contents.Point.Kind.ToString());
        writer.WriteString("cutAt", contents.Point.CutAt.ToString("O", CultureInfo.InvariantCulture));
        writer.WriteString("label", contents.Point.Label);
        writer.WriteString("definition", contents.DefinitionXml);
        foreach (Records.DiskGeometry disk in contents.Geometry.Disks)
        {
            await using ReplicaView view = await replica.OpenViewAsync(id, disk.Disk, default);
            byte[] content = new byte[view.SizeBytes];
            await view.ReadAsync(0, content, default);
            writer.WriteString($"disk {disk.Disk} ({disk.Target}, {disk.SizeBytes})", Convert.ToHexStringLower(SHA256.HashData(content)));
        }

        writer.WriteEndObject();
    }

    private static CrashDisk Load(string folder)
    {
        Dictionary<string, byte[]> files = [];
        foreach (string path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            string name = Path.GetRelativePath(folder, path).Replace('\\', '/');
            if (name != ExpectedName)
            {
                files.Add(name, File.ReadAllBytes(path));
            }
        }

        return CrashDisk.Of(files, ["", "journal", "base", "kept", "pins", "divergence"]);
    }

    internal static string FixtureFolder()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Understudy.slnx")))
            {
                return Path.Combine(folder.FullName, "fixtures", "formats", "v1");
            }
        }

        throw new InvalidOperationException("the tests do not run inside a checkout");
    }

    /// <summary>Compresses a little, so that both encodings occur.</summary>
    private static byte[] Text(int seed, int length)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes.AsSpan(0, Math.Min(length, 2048)));
        for (int i = 2048; i < length; i++)
        {
            bytes[i] = (byte)(i / (seed + 3));
        }

        return bytes;
    }
}
