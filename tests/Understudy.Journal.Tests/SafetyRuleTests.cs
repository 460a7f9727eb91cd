using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Tests.Rig;

namespace Understudy.Journal.Tests;

/// <summary>The tests of this project see what each safety rule keeps out: with the rule broken, they fail.</summary>
public sealed class SafetyRuleTests
{
    public static TheoryData<string> CaughtByCrashes =>
        ["flush", "unlist", "manifest first", "stale lines", "divergence", "first pre-image"];

    [Theory]
    [MemberData(nameof(CaughtByCrashes))]
    public async Task A_broken_rule_is_caught_by_script_and_crashes(string rule)
    {
        ReplicaSettings settings = TestRig.Small with { Rules = Break(rule) };
        for (int seed = 1; seed <= 40; seed++)
        {
            if (await IsCaughtAsync(settings, seed))
            {
                return;
            }
        }

        Assert.Fail($"nobody noticed that '{rule}' was broken");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Damage_is_not_read_as_data_nor_made_right_by_apply(bool verifyBeforeSumming)
    {
        // With the rules whole, the damaged block stops reading and apply; with one broken, wrong data comes out as right.
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        SafetyRules rules = verifyBeforeSumming ? SafetyRules.All : SafetyRules.All with { VerifyBeforeSumming = false };
        Replica replica = await Replica.CreateAsync(TestRig.Environment(disk, TestRig.Small with { Rules = rules }), TestRig.Spec, default);
        DiskId a = new(0);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 65536)), source.Write(a, 0, Enumerable.Repeat((byte)5, 65536).ToArray()), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        await replica.ApplyAsync(source.LastPoint, default);
        disk.Names["image-0"].Content[40_000] ^= 1;
        await replica.AppendAsync(source.Write(a, 0, new byte[512]), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        if (verifyBeforeSumming)
        {
            StorageException fault = await Assert.ThrowsAsync<StorageException>(async () => await replica.ApplyAsync(source.LastPoint, default));
            Assert.Equal(FaultKind.Corrupt, fault.Kind);
            fault = await Assert.ThrowsAsync<StorageException>(() => replica.AssertHoldsAsync(source.LastPoint, source.TakeSnapshot()));
            Assert.Equal(FaultKind.Corrupt, fault.Kind);
            Assert.Contains("disk 0", fault.Message, StringComparison.Ordinal);
            Assert.Contains("offset 0", fault.Message, StringComparison.Ordinal);
        }
        else
        {
            await replica.ApplyAsync(source.LastPoint, default);
            await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(() => replica.AssertHoldsAsync(source.LastPoint, source.TakeSnapshot()));
        }
    }

    private static SafetyRules Break(string rule) => rule switch
    {
        "flush" => SafetyRules.All with { FlushBeforeAcknowledging = false },
        "unlist" => SafetyRules.All with { UnlistBeforeApplying = false },
        "manifest first" => SafetyRules.All with { NoteApplyBeforeWritingBase = false },
        "stale lines" => SafetyRules.All with { RefuseStaleLines = false },
        "divergence" => SafetyRules.All with { NoteDivergenceBeforeDropping = false },
        "first pre-image" => SafetyRules.All with { KeepFirstPreImage = false },
        _ => throw new ArgumentOutOfRangeException(nameof(rule)),
    };

    private static async Task<bool> IsCaughtAsync(ReplicaSettings settings, int seed)
    {
        try
        {
            CrashDisk disk = new();
            Random random = new(seed);
            ReplicaScript script = new(disk, random, settings);
            await script.BeginAsync();
            await script.RunAsync(40);
            CrashChecker checker = new(script, settings);
            for (int changes = script.Expectations[0].Changes; changes <= disk.Changes.Count; changes += random.Next(1, 4))
            {
                await checker.CheckAsync(CrashImage.After(disk, changes, 0, (CrashKind)random.Next(3), random), changes);
            }

            return false;
        }
        catch (Exception e) when (e is Xunit.Sdk.XunitException or StorageException or InvariantException or KeyNotFoundException)
        {
            return true;
        }
    }
}
