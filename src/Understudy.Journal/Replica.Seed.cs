using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Bases;
using Understudy.Journal.Manifests;
using Understudy.Journal.Records;

namespace Understudy.Journal;

/// <summary>
/// Beginning with a seed (docs/decisions/seeds.md). The manifest says from its first version on that one is awaited: until
/// it has been read nothing looks at the base and nothing is applied to it, so that half a seed, whatever became of its
/// reader, is never taken for content. Then the first checkpoint is applied over it like any other, and with that the seed
/// is what the base of a replica always is: everything up to a sequence.
/// </summary>
public sealed partial class Replica
{
    public bool AwaitsSeed => _status.AwaitsSeed;

    /// <summary>
    /// Reads the seed into the base, from where it was. Which disks there are the first checkpoint of the source says.
    /// Cancellation is honoured between pieces; the next call goes on.
    /// </summary>
    /// <exception cref="SeedUnreadableException">The seed's own fault; the replica is well.</exception>
    public async ValueTask<SeedOutcome> TakeSeedAsync(ISeed seed, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass applying = await _applyGate.EnterAsync(cancellationToken);
        ThrowIfDead();
        if (!_manifest.AwaitsSeed)
        {
            return new SeedOutcome.Taken();
        }

        if (_manifest.Applying is not { } unfinished)
        {
            if (await FindFirstCheckpointAsync(cancellationToken) is not { } first)
            {
                return new SeedOutcome.NoDisksYet();
            }

            await ReadSeedAsync(first, seed, cancellationToken);
            unfinished = await BeginApplyOverSeedAsync(first);
        }

        await FinishApplyAsync(unfinished.To, cancellationToken);
        return new SeedOutcome.Taken();
    }

    /// <summary>Returns when the base holds its seed, at once when it awaits none.</summary>
    /// <exception cref="StorageException">The replica is closed, or another line has it.</exception>
    public async ValueTask WaitForSeedAsync(CancellationToken cancellationToken)
    {
        CancellationToken lineEnds = LineEnds;
        if (!AwaitsSeed || !Rules.CompareOnlyWithTheSeed)
        {
            return;
        }

        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lineEnds);
        try
        {
            await _seedTaken.Task.WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (lineEnds.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new StorageException(FaultKind.Closed, $"replica {Id}", "it was closed while its seed was being read", "It is tried again.");
        }
    }

    private async ValueTask<PointState?> FindFirstCheckpointAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        return _points is [var first, ..] && first.Sequence <= _log.FlushedSequence ? first : null;
    }

    private async ValueTask ReadSeedAsync(PointState first, ISeed seed, CancellationToken cancellationToken)
    {
        await seed.BeginAsync(first.Geometry.Disks);
        SortedDictionary<DiskId, BaseDisk> disks = [];
        long bytes = 0;
        long damaged = 0;
        try
        {
            await OpenBasesAsync(first.Geometry, disks, cancellationToken);
            foreach (DiskGeometry disk in first.Geometry.Disks)
            {
                await using SeedRun run = new(disks[disk.Disk], disk, seed, ThrowIfDead);
                try
                {
                    await run.RunAsync(cancellationToken);
                }
                catch (StorageException)
                {
                    _isDead |= run.HasSumsFault;
                    await disks[disk.Disk].CloseAsync(); // Suspect: the next try opens it anew.
                    throw;
                }

                bytes += run.BytesRead;
                damaged += run.DamagedBytes;
            }
        }
        finally
        {
            foreach (BaseDisk disk in disks.Values)
            {
                await disk.CloseWriterAsync();
            }
        }

        Log.SeedTaken(_env.Logger, Id, bytes, damaged);
    }

    /// <summary>The one write that makes the seed content: before it, what is in the base is nothing.</summary>
    private async ValueTask<ApplyingState> BeginApplyOverSeedAsync(PointState first)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(CancellationToken.None);
        ApplyingState applying = new(first.Point.Id);
        await ChangeAsync(_manifest with { Oldest = first.Hidden ? _manifest.Oldest : first.Point.Id, Applying = applying });
        return applying;
    }
}
