using Understudy.Blocks;
using Understudy.Journal.Tests.Rig;
using Understudy.Testing;

namespace Understudy.Journal.Tests;

/// <summary>
/// Uses a replica in every way, then asks of each change that reached the disk: what if the machine had died here? After
/// it, in the middle of it, with nothing unflushed surviving, or with some of it, in any order.
/// </summary>
public sealed class ReplicaCrashTests
{
    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(0)]
    public async Task Whatever_change_is_the_last_one_everything_promised_is_there(int seed)
    {
        seed = seed == 0 ? Seed.Next() : seed;
        (CrashDisk disk, ReplicaScript script) = await RunScriptAsync(seed, 45);
        CrashChecker checker = new(script);
        Random random = new(seed);
        int first = script.Expectations[0].Changes;
        for (int changes = first; changes <= disk.Changes.Count; changes++)
        {
            foreach ((CrashKind kind, double part) in ((CrashKind, double)[])
                [(CrashKind.Kill, 0), (CrashKind.Kill, random.NextDouble()), (CrashKind.LoseAll, 0), (CrashKind.LoseSome, random.NextDouble())])
            {
                if (part > 0 && (changes == disk.Changes.Count || disk.Changes[changes] is not CrashDisk.Change.Write))
                {
                    continue; // Only a write can be cut in the middle.
                }

                int dice = random.Next();
                try
                {
                    await checker.CheckAsync(CrashImage.After(disk, changes, part, kind, new Random(dice)), changes);
                }
                catch (Exception e)
                {
                    string next = changes < disk.Changes.Count ? Describe(disk, disk.Changes[changes]) : "the end";
                    string step = script.Expectations.FirstOrDefault(x => x.Changes > changes)?.Step ?? "the end";
                    Assert.Fail($"seed {seed}, {kind} after {changes} changes, {part:p0} of the next ({next}, in step '{step}'), dice {dice}: {e}");
                }
            }
        }
    }

    [Fact]
    public async Task A_creation_cut_short_leaves_a_whole_replica_or_none_and_can_be_repeated()
    {
        CrashDisk disk = new();
        await (await Replica.CreateAsync(TestRig.Environment(disk), TestRig.Spec, default)).DisposeAsync();
        for (int changes = 0; changes <= disk.Changes.Count; changes++)
        {
            foreach (CrashKind kind in Enum.GetValues<CrashKind>())
            {
                CrashDisk found = CrashImage.After(disk, changes, 0.5, kind, new Random(changes));
                Replica replica;
                try
                {
                    replica = await Replica.OpenAsync(TestRig.Environment(found), default);
                }
                catch (StorageException e) when (e.Kind == FaultKind.Missing && changes < disk.Changes.Count)
                {
                    replica = await Replica.CreateAsync(TestRig.Environment(found), TestRig.Spec, default);
                }

                SourceModel source = new(TestRig.Line1);
                await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 65536)), source.Checkpoint(TestRig.Start));
                Assert.Equal(2UL, await replica.FlushAsync(default));
                await replica.DisposeAsync();
            }
        }
    }

    private static async Task<(CrashDisk Disk, ReplicaScript Script)> RunScriptAsync(int seed, int steps)
    {
        CrashDisk disk = new();
        ReplicaScript script = new(disk, new Random(seed));
        await script.BeginAsync();
        await script.RunAsync(steps);
        await script.CheckEverythingAsync();
        return (disk, script);
    }

    private static string Describe(CrashDisk disk, CrashDisk.Change change)
    {
        string NameOf(CrashDisk.Inode file) => disk.Names.FirstOrDefault(n => n.Value == file).Key ?? "a file that is gone";
        return change switch
        {
            CrashDisk.Change.Write w => $"write {w.Data.Length} at {w.Offset} of {NameOf(w.File)}",
            CrashDisk.Change.Flush f => $"flush {NameOf(f.File)}",
            CrashDisk.Change.SetLength s => $"length {s.Length} of {NameOf(s.File)}",
            _ => change.ToString(),
        };
    }
}
