using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Tests.Rig;
using Understudy.Testing;

namespace Understudy.Journal.Tests;

public sealed class DamageTests
{
    /// <summary>
    /// One flipped bit anywhere: opening refuses with a clear word, or every point that was there is still listed and each
    /// of its bytes reads right or refuses. Verification finds whatever reading would stumble over.
    /// </summary>
    [Theory]
    [InlineData(21, 40)]
    [InlineData(22, 25)]
    [InlineData(0, 30)]
    public async Task A_flipped_bit_never_comes_out_as_data(int seed, int steps)
    {
        seed = seed == 0 ? Seed.Next() : seed;
        Random random = new(seed);
        CrashDisk disk = new();
        ReplicaScript script = new(disk, random) { Without = ["view"] };
        await script.BeginAsync();
        await script.RunAsync(steps);
        await script.SettleAsync();
        Expectation expected = script.Expectations[^1];
        await script.EndAsync();

        int refused = 0;
        foreach ((string name, CrashDisk.Inode file) in disk.Names)
        {
            foreach (int bit in PickBits(file.Length, random))
            {
                CrashDisk copy = CrashDisk.Of(disk.Names.ToDictionary(n => n.Key, n => n.Value.Content.ToArray()), disk.Folders);
                copy.Names[name].Content[bit / 8] ^= (byte)(1 << (bit % 8));
                try
                {
                    refused += await CheckAsync(copy, script, expected) ? 0 : 1;
                }
                catch (Exception e)
                {
                    Assert.Fail($"seed {seed}, bit {bit % 8} of byte {bit / 8} of {name} ({file.Length} bytes): {e}");
                }
            }
        }

        Assert.True(refused > 0, "no flip was ever noticed");
    }

    private static HashSet<int> PickBits(int bytes, Random random)
    {
        HashSet<int> bits = [];
        for (int i = 0; i < 24 && bytes > 0; i++)
        {
            bits.Add(random.Next(Math.Min(bytes, 200) * 8));
            bits.Add((random.Next(bytes) * 8) + random.Next(8));
            bits.Add(((bytes - 1 - random.Next(Math.Min(bytes, 400))) * 8) + random.Next(8));
        }

        return bits;
    }

    /// <summary>False when something refused.</summary>
    private static async Task<bool> CheckAsync(CrashDisk damaged, ReplicaScript script, Expectation expected)
    {
        Replica replica;
        try
        {
            replica = await Replica.OpenAsync(TestRig.Environment(damaged), default);
        }
        catch (StorageException e) when (e.Kind is FaultKind.Corrupt or FaultKind.Missing or FaultKind.Denied)
        {
            return false;
        }

        bool refused = false;
        Assert.Equal(expected.Listed, replica.Points.Select(p => p.Id).ToHashSet());
        Assert.Equal(expected.Acknowledged, replica.FlushedSequence);
        foreach (RecoveryPointId point in expected.Listed.Concat(expected.Pins.Values))
        {
            try
            {
                await replica.AssertHoldsAsync(point, script.Snapshots[point]);
            }
            catch (StorageException e) when (e.Kind is FaultKind.Corrupt or FaultKind.Missing or FaultKind.Denied)
            {
                refused = true;
            }
        }

        VerifyReport report = await replica.VerifyAsync(null, default);
        Assert.True(!refused || !report.IsWhole, "reading refused what verification calls whole");
        await replica.DisposeAsync();
        return !refused;
    }
}
