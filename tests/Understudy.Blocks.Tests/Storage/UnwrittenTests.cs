using Understudy.Blocks.Storage;
using Understudy.Testing;
using Understudy.Testing.Devices;

namespace Understudy.Blocks.Tests.Storage;

/// <summary>What is read and never written: the same content as if it had been, and the original as it was.</summary>
public sealed class UnwrittenTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(5)]
    [InlineData(0)]
    public async Task A_file_reads_as_if_every_change_had_been_made_and_the_one_below_stays(int seed)
    {
        seed = seed == 0 ? Seed.Next() : seed;
        Random random = new(seed);
        MemoryFileStore below = new();
        byte[] original = new byte[200_000];
        random.NextBytes(original);
        await WriteAsync(below, "a", original);
        List<byte> model = [.. original];
        await using UnwrittenStore store = new(below);
        await using IStoreFile file = await store.OpenAsync("a", FileOpen.Existing, Ct);
        for (int i = 0; i < 60; i++)
        {
            int at = random.Next(model.Count + 70_000);
            if (random.Next(4) == 0)
            {
                await file.SetLengthAsync(at, Ct);
                model = [.. model.Take(at), .. new byte[Math.Max(0, at - model.Count)]];
            }
            else
            {
                byte[] data = new byte[random.Next(1, 140_000)];
                random.NextBytes(data);
                await file.WriteAsync(at, data, Ct);
                model = [.. model.Take(at), .. new byte[Math.Max(0, at - model.Count)], .. data, .. model.Skip(at + data.Length)];
            }

            byte[] read = new byte[model.Count + 1];
            Assert.True(model.Count == await file.ReadAsync(0, read, Ct), $"seed {seed}, step {i}");
            Assert.True(model.SequenceEqual(read[..^1]), $"seed {seed}, step {i}");
        }

        Assert.Equal(original, await ReadAsync(below, "a"));
    }

    [Fact]
    public async Task Names_are_made_renamed_and_deleted_in_memory_only()
    {
        MemoryFileStore below = new();
        await below.CreateFolderAsync("f", Ct);
        await WriteAsync(below, "f/kept", [1]);
        await WriteAsync(below, "f/gone", [2]);
        await WriteAsync(below, "f/moved", [3]);
        await using UnwrittenStore store = new(below);

        await store.DeleteAsync("f/gone", Ct);
        await store.RenameAsync("f/moved", "f/kept", Ct);
        await WriteAsync(store, "f/new", [4, 4]);

        Assert.Equal([new StoreEntry("f/kept", 1), new StoreEntry("f/new", 2)], await store.ListAsync("f", Ct));
        Assert.Equal([3], await ReadAsync(store, "f/kept"));
        Assert.Equal(FaultKind.Missing, (await Assert.ThrowsAsync<StorageException>(async () => await store.OpenAsync("f/gone", FileOpen.Existing, Ct))).Kind);
        Assert.Equal(FaultKind.Exists, (await Assert.ThrowsAsync<StorageException>(async () => await store.OpenAsync("f/new", FileOpen.New, Ct))).Kind);
        Assert.Equal([("f/gone", 1L), ("f/kept", 1), ("f/moved", 1)], (await below.ListAsync("f", Ct)).Select(e => (e.Name, e.LengthBytes)));
        Assert.Equal([1], await ReadAsync(below, "f/kept"));
    }

    [Fact]
    public async Task A_file_open_for_reading_refuses_a_write_and_a_closed_one_refuses_all()
    {
        MemoryFileStore below = new();
        await WriteAsync(below, "a", [1]);
        await using UnwrittenStore store = new(below);
        IStoreFile file = await store.OpenAsync("a", FileOpen.Read, Ct);

        Assert.Equal(FaultKind.Denied, (await Assert.ThrowsAsync<StorageException>(async () => await file.WriteAsync(0, new byte[1], Ct))).Kind);
        await file.DisposeAsync();
        Assert.Equal(FaultKind.Closed, (await Assert.ThrowsAsync<StorageException>(async () => await file.ReadAsync(0, new byte[1], Ct))).Kind);
    }

    [Theory]
    [InlineData(0)]
    public async Task A_device_reads_as_if_written_and_goes_on_with_zeros_beyond_the_one_below(int seed)
    {
        seed = seed == 0 ? Seed.Next() : seed;
        Random random = new(seed);
        byte[] original = new byte[300 * 512];
        random.NextBytes(original);
        MemoryBlockDevice below = new(original.Length);
        await below.WriteAsync(0, original, Ct);
        byte[] model = [.. original, .. new byte[500 * 512]];
        await using UnwrittenDevice device = new(below, model.Length, "disk");
        for (int i = 0; i < 60; i++)
        {
            int at = random.Next(799) * 512;
            int length = Math.Min(random.Next(1, 300) * 512, model.Length - at);
            if (random.Next(3) == 0)
            {
                await device.ZeroAsync(new ByteRange(at, length), Ct);
                model.AsSpan(at, length).Clear();
            }
            else
            {
                byte[] data = new byte[length];
                random.NextBytes(data);
                await device.WriteAsync(at, data, Ct);
                data.CopyTo(model, at);
            }

            byte[] read = new byte[model.Length];
            await device.ReadAsync(0, read, Ct);
            Assert.True(model.AsSpan().SequenceEqual(read), $"seed {seed}, step {i}");
        }

        byte[] after = new byte[original.Length];
        await below.ReadAsync(0, after, Ct);
        Assert.Equal(original, after);
    }

    [Fact]
    public async Task Changes_beyond_the_limit_of_memory_are_refused_by_name()
    {
        await using UnwrittenDevice device = new(null, 1L << 40, "disk vda");
        StorageException full = await Assert.ThrowsAsync<StorageException>(async () => await device.ZeroAsync(new ByteRange(0, 1L << 30), Ct));

        Assert.Equal(FaultKind.Full, full.Kind);
        Assert.Contains("vda", full.Message, StringComparison.Ordinal);
    }

    private static async Task WriteAsync(IFileStore store, string name, byte[] content)
    {
        await using IStoreFile file = await store.OpenAsync(name, FileOpen.New, Ct);
        await file.WriteAsync(0, content, Ct);
        await file.FlushAsync(Ct);
    }

    private static async Task<byte[]> ReadAsync(IFileStore store, string name)
    {
        await using IStoreFile file = await store.OpenAsync(name, FileOpen.Read, Ct);
        byte[] content = new byte[file.LengthBytes];
        await file.ReadAsync(0, content, Ct);
        return content;
    }
}
