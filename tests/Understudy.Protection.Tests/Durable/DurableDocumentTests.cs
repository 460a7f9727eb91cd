using System.Text;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Target.Runs;
using Understudy.Testing.Devices;

namespace Understudy.Protection.Tests.Durable;

public sealed class DurableDocumentTests
{
    private static readonly TestRecord Test = new(
        Guid.Parse("11111111-2222-4333-8444-555555555555"),
        new RecoveryPointId(new LineId(2, 0xab), 77),
        new BranchId(Guid.Parse("bbbbbbbb-2222-4333-8444-555555555555")),
        new VmId(Guid.Parse("aaaaaaaa-2222-4333-8444-555555555555")),
        "web1-test",
        TestNetworkKind.Bubble,
        3,
        [new RunDisk(new DiskId(0), "vda", "/pool/web1/test-111-vda.qcow2")],
        new DateTimeOffset(2026, 11, 22, 0, 0, 0, TimeSpan.Zero),
        TestStep.Running,
        "before the update");

    [Fact]
    public async Task What_was_saved_is_loaded()
    {
        MemoryFileStore store = new();
        await store.CreateFolderAsync("tests", default);
        await RunFiles.TestDocument.SaveAsync(store, "tests/a.state", Test, default);
        await RunFiles.TestDocument.SaveAsync(store, "tests/a.state", Test with { Note = "fine" }, default);
        TestRecord? loaded = await RunFiles.TestDocument.LoadAsync(store, "tests/a.state", default);
        Assert.Equal("fine", loaded?.Note);
        Assert.Equal(Test.Disks, loaded?.Disks);
        Assert.Null(await RunFiles.TestDocument.LoadAsync(store, "tests/b.state", default));
    }

    [Fact]
    public void Every_byte_that_is_wrong_makes_it_no_document()
    {
        byte[] good = RunFiles.TestDocument.Encode(Test);
        Assert.NotNull(RunFiles.TestDocument.Decode(good, out _));
        for (int i = 0; i < good.Length; i++)
        {
            byte[] bad = [.. good];
            bad[i] ^= 1;
            Assert.Null(RunFiles.TestDocument.Decode(bad, out string defect));
            Assert.NotEqual("", defect);
            Assert.Null(RunFiles.TestDocument.Decode(good.AsSpan(0, i), out _));
        }
    }

    [Fact]
    public void A_document_of_another_kind_is_refused() =>
        Assert.Null(RunFiles.FailoverDocument.Decode(RunFiles.TestDocument.Encode(Test), out _));

    [Fact]
    public void People_can_read_it()
    {
        string text = Encoding.UTF8.GetString(RunFiles.TestDocument.Encode(Test));
        Assert.StartsWith("understudy-test 1 ", text, StringComparison.Ordinal);
        Assert.Contains("\"point\": \"2-000000000000000000000000000000ab:77\"", text, StringComparison.Ordinal);
        Assert.Contains("\"step\": \"Running\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_damaged_file_says_what_is_wrong_with_it()
    {
        MemoryFileStore store = new();
        await using (IStoreFile file = await store.OpenAsync("x", FileOpen.New, default))
        {
            await file.WriteAsync(0, "understudy-test 1 5 00000000\n{}"u8.ToArray(), default);
        }

        StorageException corrupt = await Assert.ThrowsAsync<StorageException>(async () => await RunFiles.TestDocument.LoadAsync(store, "x", default));
        Assert.Equal(FaultKind.Corrupt, corrupt.Kind);
        Assert.Contains("checksum", corrupt.Message, StringComparison.Ordinal);
    }
}
