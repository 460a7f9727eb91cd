using Understudy.Blocks;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Hosting;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Target.Seeds;

/// <summary>
/// Reads the seed of one replica into its base as soon as the source has told the disks (docs/decisions/seeds.md). Run by
/// one loop of its host, killed at any time; the status is read by anybody. A seed that stays unreadable is gone on without:
/// it was only to save traffic.
/// </summary>
internal sealed class SeedIntake(ReplicaContext context) : ISeed
{
    /// <summary>A share that hangs, a cable: what has not come back by then may never come.</summary>
    private static readonly TimeSpan GiveUpAfter = TimeSpan.FromMinutes(1);

    private volatile SeedRecord _record = SeedRecord.Nothing;

    /// <summary>Since when a disk cannot be read on, and from where.</summary>
    private (string Device, long At, long Since)? _fault;

    /// <summary>From its first day on: the source must never take anything of it for zeros.</summary>
    public bool IsWanted => Places.Count > 0;

    public SeedStatus? Status
    {
        get
        {
            SeedRecord record = _record;
            return !IsWanted ? null : new SeedStatus(
                context.Slot.Shown is { AwaitsSeed: false },
                record.Disks.Sum(disk => disk.ReachedBytes),
                record.Disks.Sum(disk => disk.SizeBytes),
                [.. record.Disks.SelectMany(disk => disk.Remarks())]);
        }
    }

    private IReadOnlyList<SeedPlace> Places => context.Spec.Seeds ?? [];

    public async ValueTask LoadAsync(CancellationToken cancellationToken) =>
        _record = await RunFiles.SeedDocument.LoadAsync(context.State, RunFiles.Seed, cancellationToken) ?? SeedRecord.Nothing;

    /// <summary>For a loop of its own: nothing to do before the source has told its disks, and once the base holds the seed.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        if (!IsWanted || context.Slot.TryGet() is not { AwaitsSeed: true, IsStopped: false } replica)
        {
            return;
        }

        try
        {
            if (await replica.TakeSeedAsync(this, cancellationToken) is SeedOutcome.Taken)
            {
                Log.SeedTaken(context.Logger, context.Vm, string.Join("; ", Status?.Remarks ?? []));
            }
        }
        catch (SeedUnreadableException unreadable)
        {
            if (!await IsGivenUpAsync(unreadable, cancellationToken))
            {
                throw;
            }

            Log.SeedGivenUp(context.Logger, context.Vm, unreadable.Message);
        }
    }

    public async ValueTask BeginAsync(IReadOnlyList<DiskGeometry> disks)
    {
        SeedRecord all = _record;
        foreach (DiskGeometry disk in disks.Where(disk => Places.Any(place => place.TargetDevice == disk.Target) && all.Find(disk.Disk) is null))
        {
            all = all.With(new SeedDisk(disk.Disk, disk.Target, disk.SizeBytes));
        }

        await SaveAsync(all);
    }

    public long ReachedOf(DiskGeometry disk) => _record.Find(disk.Disk)?.ReachedBytes ?? 0;

    public async ValueTask<IBlockDevice?> OpenAsync(DiskGeometry disk, CancellationToken cancellationToken)
    {
        if (_record.Find(disk.Disk) is not { Ended: false } known)
        {
            return null;
        }

        SeedPlace place = Places.First(place => place.TargetDevice == disk.Target);
        ISeeds seeds = context.Services.Seeds ?? throw new InvariantException("a replica with a seed stands on a host that can open none");
        IBlockDevice content;
        try
        {
            content = await seeds.OpenAsync(place, cancellationToken);
        }
        catch (StorageException why)
        {
            throw new SeedUnreadableException(disk, known.ReachedBytes, why);
        }

        string? remark = content.SizeBytes > disk.SizeBytes
            ? $"The seed of disk {disk.Target} has {content.SizeBytes} bytes, the disk {disk.SizeBytes}: what is behind its end was left out."
            : known.Remark;
        await SaveAsync(_record.With(known with { Remark = remark }));
        return content;
    }

    public async ValueTask ReachedAsync(DiskGeometry disk, long bytes, long damagedBytes)
    {
        if (_record.Find(disk.Disk) is { } known)
        {
            await SaveAsync(_record.With(known with { ReachedBytes = bytes, DamagedBytes = known.DamagedBytes + damagedBytes }));
        }
    }

    /// <summary>True when the rest of this disk is done without.</summary>
    private async ValueTask<bool> IsGivenUpAsync(SeedUnreadableException unreadable, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        SeedDisk known = _record.Find(unreadable.Disk) ?? throw new InvariantException("only what was begun can be unreadable");
        if (_fault is not { } fault || fault.Device != known.TargetDevice || fault.At != known.ReachedBytes)
        {
            _fault = (known.TargetDevice, known.ReachedBytes, context.Services.Time.GetTimestamp());
            return false;
        }

        if (context.Services.Time.GetElapsedTime(fault.Since) < GiveUpAfter)
        {
            return false;
        }

        _fault = null;
        await SaveAsync(_record.With(known with { Ended = true, Remark = $"{unreadable.Message.TrimEnd('.')}: what was read of it by then counts, the rest is sent." }));
        return true;
    }

    private async ValueTask SaveAsync(SeedRecord next)
    {
        await RunFiles.SeedDocument.SaveAsync(context.State, RunFiles.Seed, next, CancellationToken.None);
        _record = next;
    }
}
