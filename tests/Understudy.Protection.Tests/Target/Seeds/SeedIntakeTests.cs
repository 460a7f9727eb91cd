using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Seeds;
using Understudy.Protection.Tests.Target.Runs;
using Understudy.Protection.Tests.Target.World;
using Understudy.Qemu.Tests.Recovery;

namespace Understudy.Protection.Tests.Target.Seeds;

/// <summary>CFG-5 at the target: the host reads what stands there into the base, whoever dies, and goes on without what it
/// cannot have.</summary>
public sealed class SeedIntakeTests(ITestOutputHelper output) : EveryDeath(output)
{
    private const int Block = SourceFeed.BlockBytes;
    private static readonly SeedPlace[] _places = [new("vda", "/srv/usb/web1.qcow2", "qcow2"), new("vdb", "/srv/old/web1", SeedPlace.Replica)];
    private readonly ModelSeeds _seeds = new();

    [Fact]
    public Task A_seed_is_read_and_only_what_differs_is_sent_whatever_dies() => ForEveryDeathAsync(async (site, life) =>
    {
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, _ => TellDisksAsync(site));
        died |= await OrderAsync(site, _ => TakenAsync(site));
        SeedStatus status = Assert.IsType<SeedStatus>(site.Host.Status.Seed);
        Assert.Equal((2L * ModelSite.DiskBytes, 2L * ModelSite.DiskBytes), (status.ReachedBytes, status.OfBytes));
        Assert.Single(status.Remarks); // The seed of vdb is larger than the disk.
        Assert.Empty(site.Host.Points);

        int sent = 0;
        died |= await OrderAsync(site, async host =>
        {
            site.Source.Continue(host.Sink.FlushedSequence);
            (RecoveryPointId point, sent) = await site.Source.CompareAsync(host.Sink);
            Assert.Equal(point, Assert.Single(host.Points).Id);
        });
        Assert.Equal(2, sent);
        Assert.True(site.Host.Sink.HoldsSeed);
        Assert.Equal(["/pool/web1/vda-0.qcow2", "/pool/web1/vdb-1.qcow2"], site.Machine.ImagePaths());
        return died;
    });

    [Fact]
    public async Task A_seed_that_stays_away_is_gone_on_without_and_a_remark_says_so()
    {
        await using ModelSite site = await MakeAsync();
        _seeds.IsGone = true;
        await TellDisksAsync(site);
        await UntilAsync(() => _seeds.Opened >= 3);
        Assert.False(site.Host.Status.Seed!.IsTaken);
        Assert.Contains("the medium is gone", site.Host.Status.Error!.Message, StringComparison.Ordinal);

        // It comes back within the minute for one disk, and is away for good with the other.
        site.Time.Pass(TimeSpan.FromMinutes(1));
        await UntilAsync(() => site.Host.Status.Seed!.Remarks.Count > 0);
        _seeds.IsGone = false;
        await TakenAsync(site);
        await UntilAsync(() => site.Host.Status.Error is null);
        Assert.Contains("vda", site.Host.Status.Seed!.Remarks[0], StringComparison.Ordinal);
        (_, int sent) = await site.Source.CompareAsync(site.Host.Sink);
        Assert.Equal(ModelSite.DiskBytes / Block, sent); // All of vda but its block of zeros, and the one of vdb that differs.
    }

    [Fact]
    public async Task A_question_about_what_it_holds_waits_for_the_seed()
    {
        await using ModelSite site = await MakeAsync();
        Task<IBlockDevice?> asked = site.Host.Sink.OpenNewestAsync(new DiskId(0), default).AsTask();
        await TellDisksAsync(site);
        await using IBlockDevice held = Assert.IsAssignableFrom<IBlockDevice>(await asked);
        byte[] content = new byte[ModelSite.DiskBytes];
        await held.ReadAsync(0, content, default);
        Assert.Equal(_seeds.Contents["/srv/usb/web1.qcow2"], content);
    }

    [Fact]
    public async Task Protection_can_be_ended_in_the_middle_and_nothing_is_left()
    {
        await using ModelSite site = await MakeAsync();
        _seeds.Hangs = true;
        await TellDisksAsync(site);
        await UntilAsync(() => _seeds.Opened > 0);
        await site.EndLoopsAsync();
        await site.Host.UnprotectAsync(withBranches: false, atSource: false, default);
        Assert.Empty(site.Machine.ImagePaths());
        Assert.Empty(site.Machine.DaemonNames());
        Assert.Empty(await site.State.ListAsync("", default));
    }

    /// <summary>Both disks of the source, and seeds that differ from it in one block each; that of vdb is larger than its disk.</summary>
    private protected override async Task<ModelSite> MakeAsync()
    {
        ModelSite site = new() { Seeds = _seeds };
        await site.CreateAsync(_places);
        await site.Host.Sink.FlushAsync(default);
        Random random = new(3);
        for (int disk = 0; disk < 2; disk++)
        {
            random.NextBytes(site.Source.Disk(disk)[..(3 * Block)]); // The last block is zeros.
            byte[] seed = new byte[ModelSite.DiskBytes + (disk * Block)];
            site.Source.Disk(disk).CopyTo(seed);
            seed[(disk == 0 ? 1 : 3) * Block] ^= 0x40; // In vdb where the source has nothing.
            _seeds.Contents[_places[disk].Path] = seed;
        }

        return site;
    }

    /// <summary>The first cut of the source: it says its disks and carries no data.</summary>
    private static Task TellDisksAsync(ModelSite site) => site.Source.HiddenAsync(site.Host.Sink);

    private static Task TakenAsync(ModelSite site) => UntilAsync(() => site.Host.Status.Seed is { IsTaken: true } || (site.Life.IsOver ? throw new AgentDiedException() : false));

    private static async Task UntilAsync(Func<bool> holds)
    {
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(5));
        while (!holds())
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }
}
