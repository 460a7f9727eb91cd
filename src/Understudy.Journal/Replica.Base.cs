using Understudy.Blocks;
using Understudy.Journal.Bases;
using Understudy.Journal.Manifests;
using Understudy.Journal.Records;

namespace Understudy.Journal;

/// <summary>Giving the base away at the end of a failover: first it is final, then it is the guest's.</summary>
public sealed partial class Replica
{
    /// <summary>The disks whose images hold something of this replica; none before the first apply.</summary>
    public IReadOnlyList<DiskGeometry> BaseDisks => _baseGeometry?.Disks ?? [];

    /// <summary>
    /// Step (b) of a commit: no record is accepted and nothing is applied any more, and the images are open for reading
    /// only. The base must hold the newest point. Views go on. Durable when this returns; asking again changes nothing.
    /// </summary>
    public async ValueTask FreezeBaseAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass applying = await _applyGate.EnterAsync(cancellationToken);
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        if (_manifest.BaseStage >= BaseStage.ReadOnly)
        {
            return;
        }

        if (_manifest.Applying is not null || _log.ReceivedSequence != _manifest.Applied.Sequence)
        {
            throw new InvalidOperationException(
                $"the base holds {_manifest.Applied.Sequence}, the journal goes on to {_log.ReceivedSequence}: drop and apply first");
        }

        await ChangeAsync(_manifest with { BaseStage = BaseStage.ReadOnly });
        Log.BaseStageReached(_env.Logger, Id, BaseStage.ReadOnly);
    }

    /// <summary>
    /// Step (d) of a commit: closes the images for good. Everything that still reads this replica has to be gone; what is
    /// not is named. Durable when this returns <see cref="ReleaseOutcome.Released"/>.
    /// </summary>
    public async ValueTask<ReleaseOutcome> ReleaseBaseAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass applying = await _applyGate.EnterAsync(cancellationToken);
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        if (_manifest.BaseStage == BaseStage.Open)
        {
            throw new InvalidOperationException("a base is frozen before it is released");
        }

        if (_pins.Count > 0)
        {
            return new ReleaseOutcome.InUse([.. _pins.Select(p => p.Entry?.Reason).OfType<string>()], _pins.Sum(p => p.Users));
        }

        if (_manifest.BaseStage != BaseStage.Released)
        {
            await ChangeAsync(_manifest with { BaseStage = BaseStage.Released });
            Log.BaseStageReached(_env.Logger, Id, BaseStage.Released);
        }

        foreach (BaseDisk disk in _bases.Values)
        {
            await disk.DisposeAsync();
        }

        _bases.Clear();
        return new ReleaseOutcome.Released();
    }

    /// <summary>
    /// Deletes everything of a replica that nobody has open, except the images themselves. After a crash in the middle,
    /// <see cref="OpenAsync"/> and this go on with it. Nothing to do when there is none.
    /// </summary>
    public static async ValueTask DeleteAsync(ReplicaEnvironment env, CancellationToken cancellationToken)
    {
        if (await HasManifestAsync(env.Store, cancellationToken))
        {
            // So that half a replica is never taken for a whole one. One that cannot be read is deleted all the same.
            if (await TryReadManifestAsync(env, cancellationToken) is { Retired: false } manifest)
            {
                await ManifestFile.WriteAsync(env.Store, manifest with { Retired = true });
            }
        }

        await DeleteAllFilesAsync(env.Store, cancellationToken);
    }

    private static async ValueTask<Manifest?> TryReadManifestAsync(ReplicaEnvironment env, CancellationToken cancellationToken)
    {
        try
        {
            return await ManifestFile.ReadAsync(env.Store, cancellationToken);
        }
        catch (StorageException e) when (e.Kind == FaultKind.Corrupt)
        {
            return null;
        }
    }
}

/// <summary>What became of a wish to give the base away.</summary>
public abstract record ReleaseOutcome
{
    private ReleaseOutcome()
    {
    }

    /// <summary>Nothing of ours has the images open.</summary>
    public sealed record Released : ReleaseOutcome;

    /// <summary>Still in use: pins by their reasons, and a number of open views.</summary>
    public sealed record InUse(IReadOnlyList<string> Pins, int OpenViews) : ReleaseOutcome;
}
