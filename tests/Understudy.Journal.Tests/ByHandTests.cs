using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;
using Understudy.Blocks.Compression;

namespace Understudy.Journal.Tests;

/// <summary>Follows "A plain image by hand" of docs/formats/README.md, with nothing of the product but a zstd decoder.</summary>
public sealed class ByHandTests
{
    [Theory]
    [InlineData("settled")]
    [InlineData("applying")]
    [InlineData("seeded")]
    public void The_way_by_hand_leads_to_the_disks_of_every_point(string fixture)
    {
        string folder = Path.Combine(FixtureTests.FixtureFolder(), fixture);
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "expected.json")));
        string manifestText = File.ReadAllText(Path.Combine(folder, "manifest"));
        using JsonDocument manifest = JsonDocument.Parse(manifestText[manifestText.IndexOf('\n', StringComparison.Ordinal)..]);
        JsonElement root = manifest.RootElement;
        long applied = root.GetProperty("applied").GetProperty("sequence").GetInt64();
        int compared = 0;
        foreach (JsonElement point in expected.RootElement.GetProperty("points").EnumerateArray())
        {
            string id = point.GetProperty("id").GetString()!;
            long sequence = long.Parse(id[(id.LastIndexOf(':') + 1)..], System.Globalization.CultureInfo.InvariantCulture);
            JsonElement pin = root.GetProperty("pins").EnumerateArray().FirstOrDefault(p => p.GetProperty("point").GetString() == id);
            foreach (JsonProperty disk in point.EnumerateObject().Where(p => p.Name.StartsWith("disk ", StringComparison.Ordinal)))
            {
                string[] words = disk.Name.Split(' ', '(', ',', ')');
                ushort number = ushort.Parse(words[1], System.Globalization.CultureInfo.InvariantCulture);
                byte[] image = new byte[int.Parse(words[5], System.Globalization.CultureInfo.InvariantCulture) + 65536];
                byte[] stored = File.ReadAllBytes(Path.Combine(folder, $"image-{number}"));
                stored.AsSpan(0, Math.Min(stored.Length, image.Length)).CopyTo(image); // A disk that grew later is larger.
                bool byPin = sequence < applied || (pin.ValueKind != JsonValueKind.Undefined && pin.GetProperty("through").GetInt64() < sequence);
                if (byPin)
                {
                    Assert.NotEqual(JsonValueKind.Undefined, pin.ValueKind);
                    foreach (string file in Directory.EnumerateFiles(Path.Combine(folder, "pins"), $"{pin.GetProperty("id").GetString()}-*.seg").Order())
                    {
                        Replay(file, number, 0, long.MaxValue, image);
                    }
                }

                ReplayJournal(
                    folder, root, number, byPin ? pin.GetProperty("base").GetInt64() : applied, byPin ? pin.GetProperty("through").GetInt64() : sequence, image);
                Assert.Equal(disk.Value.GetString(), Convert.ToHexStringLower(SHA256.HashData(image.AsSpan(0, image.Length - 65536))));
                compared++;
            }
        }

        Assert.True(compared > 4);
    }

    private static void ReplayJournal(string folder, JsonElement manifest, ushort disk, long after, long through, byte[] image)
    {
        foreach (JsonElement run in manifest.GetProperty("segments").EnumerateArray())
        {
            long last = run.GetProperty("lastSequence").ValueKind == JsonValueKind.Null ? long.MaxValue : run.GetProperty("lastSequence").GetInt64();
            long end = run.GetProperty("through").ValueKind == JsonValueKind.Null ? long.MaxValue : run.GetProperty("through").GetInt64();
            for (long number = run.GetProperty("from").GetInt64(); number <= end; number++)
            {
                string file = Path.Combine(folder, "journal", $"{number:d16}.seg");
                if (!File.Exists(file))
                {
                    break;
                }

                Replay(file, disk, after, Math.Min(last, through), image);
            }
        }
    }

    private static void Replay(string file, ushort disk, long after, long through, byte[] image)
    {
        byte[] segment = File.ReadAllBytes(file);
        using ZstdDecompressor zstd = new();
        for (int at = 4096; at + 80 <= segment.Length && segment.AsSpan(at, 4).SequenceEqual("USR1"u8);)
        {
            ReadOnlySpan<byte> h = segment.AsSpan(at, 80);
            long sequence = BinaryPrimitives.ReadInt64LittleEndian(h[32..]);
            int offset = (int)BinaryPrimitives.ReadInt64LittleEndian(h[40..]);
            int length = (int)BinaryPrimitives.ReadInt64LittleEndian(h[48..]);
            int payload = BinaryPrimitives.ReadInt32LittleEndian(h[56..]);
            bool counts = sequence > after && sequence <= through && BinaryPrimitives.ReadUInt16LittleEndian(h[10..]) == disk && h[6] <= 2;
            if (counts && offset < image.Length)
            {
                byte[] content = new byte[length];
                if (h[6] == 1 && h[7] == 0)
                {
                    segment.AsSpan(at + 80, payload).CopyTo(content);
                }
                else if (h[6] == 1)
                {
                    Assert.True(zstd.TryDecompress(segment.AsSpan(at + 80, payload), content));
                }

                content.AsSpan(0, Math.Min(length, image.Length - offset)).CopyTo(image.AsSpan(offset));
            }

            at += 80 + payload;
        }
    }
}
