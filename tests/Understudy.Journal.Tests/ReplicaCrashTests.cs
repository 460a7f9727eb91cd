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
    [InlineData(0)]
    public async Task Whatever_change_is_the_last_one_everything_promised_is_there(int seed)
    {
        seed = seed == 0 ? Seed.Next() : seed;
        (CrashDisk disk, ReplicaScript script) = await RunScriptAsync(seed, 25);
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

    /// <summary>
    /// A process is killed, the next one finds what the first had written and relies on it, then the power goes: what only
    /// memory had is lost under the second one.
    /// </summary>
    [Theory]
    [InlineData(0)]
    [InlineData(742699280)] // a segment whose creation was cut short came back beside a torn mark
    public async Task Nothing_relies_on_what_a_killed_process_had_not_flushed(int seed)
    {
        seed = seed == 0 ? Seed.Next() : seed;
        (CrashDisk disk, ReplicaScript script) = await RunScriptAsync(seed, 30);
        CrashChecker checker = new(script);
        Random random = new(seed);
        for (int changes = script.Expectations[0].Changes; changes <= disk.Changes.Count; changes += random.Next(1, 8))
        {
            double part = random.Next(2) * random.NextDouble();
            CrashDisk killed = CrashImage.AfterKill(disk, changes, part);
            int unflushed = killed.Changes.Count;
            Replica second = await Replica.OpenAsync(TestRig.Environment(killed), default);
            (ulong flushed, IReadOnlyList<RecoveryPoint> points) = (second.FlushedSequence, second.Points);
            await second.DisposeAsync();
            for (int more = unflushed; more <= killed.Changes.Count; more += more < killed.Changes.Count - 3 ? random.Next(1, 4) : 1)
            {
                int dice = random.Next();
                CrashKind kind = random.Next(3) == 0 ? CrashKind.LoseSome : CrashKind.LoseAll;
                try
                {
                    CrashDisk found = CrashImage.After(killed, more, 0, kind, new Random(dice));
                    if (more == killed.Changes.Count)
                    {
                        Replica third = await Replica.OpenAsync(TestRig.Environment(found), default);
                        Assert.Equal(flushed, third.FlushedSequence);
                        Assert.Equal(points, third.Points);
                        await third.DisposeAsync();
                    }

                    await checker.CheckAsync(found, changes);
                }
                catch (Exception e)
                {
                    string step = script.Expectations.FirstOrDefault(x => x.Changes > changes)?.Step ?? "the end";
                    Assert.Fail($"seed {seed}, killed after {changes} changes (in step '{step}', {part:p0} of the next), {kind} after {more - unflushed} of {killed.Changes.Count - unflushed} changes of the second process, dice {dice}: {e}");
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
