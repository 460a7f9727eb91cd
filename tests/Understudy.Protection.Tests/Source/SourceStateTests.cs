using System.Text;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;
using Understudy.Protection.Source;
using Understudy.Testing.Devices;
using static Understudy.Protection.Tests.Source.SourceRulesTests;

namespace Understudy.Protection.Tests.Source;

public sealed class SourceStateTests
{
    public static TheoryData<string, SourceState> States => new()
    {
        { "new", New() },
        { "pending", New() with { Pending = Cycle(1, 5, Copied(10 * 65536, 65536)), SequenceKnown = true, UsedSequence = 5 } },
        {
            "protected",
            New() with
            {
                Copy = null,
                Disks = [Whole()[0], New().Disks[1] with { Joining = true, VirginFromBytes = SourceDisk.Nowhere }],
                NextDisk = 7,
                Checkpoint = "us-1",
                AcknowledgedSequence = ulong.MaxValue / 2,
                LastPoint = new LastPoint(
                    new RecoveryPointId(new LineId(3, 9), 7),
                    new DateTimeOffset(2026, 3, 4, 5, 6, 7, 8, 9, TimeSpan.Zero),
                    new CutPurpose(PointKind.Planned, "before the storm", Guid.NewGuid(), new DateTimeOffset(2026, 3, 4, 5, 6, 7, TimeSpan.Zero))),
                DefinitionHash = "00ff",
                GeometrySent = true,
            }
        },
    };

    [Theory]
    [MemberData(nameof(States))]
    public void State_comes_back_as_it_was_written(string which, SourceState state)
    {
        SourceState read = SourceStateCodec.TryDecode(SourceStateCodec.Encode(state), out string defect)
            ?? throw new InvalidOperationException($"{which}: {defect}");
        Assert.Equal(state.Disks, read.Disks);
        Assert.Equal(state.Pending?.Disks, read.Pending?.Disks);
        Assert.Equal(state with { Disks = [], Pending = null }, read with { Disks = [], Pending = null });
        Assert.Equal(state.Pending is null ? null : state.Pending with { Disks = [] }, read.Pending is null ? null : read.Pending with { Disks = [] });
    }

    [Fact]
    public void File_begins_with_the_documented_line_and_can_be_read_by_a_person()
    {
        string text = Encoding.UTF8.GetString(SourceStateCodec.Encode(New()));
        string[] words = text[..text.IndexOf('\n', StringComparison.Ordinal)].Split(' ');
        Assert.Equal(("understudy-source", "1", 4), (words[0], words[1], words.Length));
        Assert.Contains("\"line\": \"1-00000000000000000000000000000002\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_flipped_bit_and_every_cut_is_noticed()
    {
        byte[] bytes = SourceStateCodec.Encode(New());
        for (int i = 0; i < bytes.Length; i++)
        {
            Assert.Null(SourceStateCodec.TryDecode(bytes.AsSpan(0, i), out _));
            for (int bit = 0; bit < 8; bit++)
            {
                bytes[i] ^= (byte)(1 << bit);
                Assert.Null(SourceStateCodec.TryDecode(bytes, out _));
                bytes[i] ^= (byte)(1 << bit);
            }
        }
    }

    [Fact]
    public void Later_version_is_refused_by_name()
    {
        string text = Encoding.UTF8.GetString(SourceStateCodec.Encode(New()));
        Assert.Null(SourceStateCodec.TryDecode(Encoding.UTF8.GetBytes(text.Replace("source 1 ", "source 2 ", StringComparison.Ordinal)), out string defect));
        Assert.Contains("version 2", defect, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Missing_state_is_none_and_a_damaged_one_is_an_error_with_a_remedy()
    {
        MemoryFileStore store = new();
        SourceStateStore states = new(store);
        Assert.Null(await states.LoadAsync(CancellationToken.None));

        await states.SaveAsync(New(), CancellationToken.None);
        Assert.NotNull(await states.LoadAsync(CancellationToken.None));

        await using (IStoreFile file = await store.OpenAsync(SourceStateStore.Name, FileOpen.Existing, CancellationToken.None))
        {
            await file.WriteAsync(file.LengthBytes - 5, "x"u8.ToArray(), CancellationToken.None);
        }

        StorageException corrupt = await Assert.ThrowsAsync<StorageException>(() => states.LoadAsync(CancellationToken.None).AsTask());
        Assert.Equal(FaultKind.Corrupt, corrupt.Kind);
        Assert.NotNull(corrupt.Remedy);
    }
}
