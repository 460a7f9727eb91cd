using Understudy.Blocks;
using Understudy.Replication.Sending;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Source;

public sealed partial class SourceVm
{
    /// <summary>Sums at hand before a slice is cut, where there are as many to have: a gigabyte of disk, so that few cuts are
    /// made for little.</summary>
    private const long SumsForSlice = 1024L * 1024 * 1024;

    private SumsAhead? _ahead;

    /// <summary>Whether the target can compare; null before a connection has told.</summary>
    private bool? _targetCompares;

    /// <summary>The next slice is to be compared, and what the target holds there is not at hand. The target must know the
    /// disks first: a cut without a slice brings it their table.</summary>
    private bool LacksSums =>
        _targetCompares != false
        && _state.GeometrySent
        && ComparedGround.Next(_state.Disks) is { } disk
        && ComparedGround.Of(disk) is var ground
        && (_ahead is null || _ahead.KnownTo(disk.Disk, ground) == ground.OffsetBytes);

    private SliceSums SumsAtHand => _targetCompares == false ? SliceSums.Unavailable : _ahead ?? SliceSums.NotYet;

    /// <summary>Asks the target what it holds of the next slices, before the capture that compares them.</summary>
    private async ValueTask CompareAsync(CancellationToken cancellationToken)
    {
        if (await ConnectAsync(cancellationToken) is not { CanCompare: true } sender || ComparedGround.Next(_state.Disks) is not { } disk)
        {
            return; // What the target said has changed what is to be done.
        }

        _ahead ??= new SumsAhead(sender, _state.Disks);
        ShowState(SourceWait.Sums);
        ByteRange ground = ComparedGround.Of(disk);
        await _ahead.WaitAsync(disk.Disk, new ByteRange(ground.OffsetBytes, Math.Min(ground.LengthBytes, SumsForSlice)), cancellationToken);
        ShowState();
    }

    /// <summary>A replica that began with a seed reads as zeros nowhere, whatever this side has sent.</summary>
    private async ValueTask NoteSeedAsync(ReplicationSender sender, CancellationToken cancellationToken)
    {
        _targetCompares = sender.CanCompare;
        if (sender.Welcome.Features.HasFlag(ProtocolFeatures.HoldsSeed) && _state is { HasNotBegun: true, Pending: null }
            && _state.Disks.Any(disk => disk.VirginFromBytes != SourceDisk.Nowhere))
        {
            await SaveAsync(SourceTransitions.SeedFound(_state), cancellationToken);
        }
    }

    /// <summary>The target's sums are as good as the connection, and as long as every copy only goes forward.</summary>
    private async ValueTask KeepSumsAsync(IReadOnlyList<SourceDisk> before)
    {
        if (_ahead is { } ahead)
        {
            if (ComparedGround.SumsHold(before, _state.Disks))
            {
                ahead.Forget(_state.Disks);
            }
            else
            {
                await DropSumsAsync();
            }
        }
    }

    private async ValueTask DropSumsAsync()
    {
        if (_ahead is { } ahead)
        {
            _ahead = null;
            await ahead.DisposeAsync();
        }
    }
}
