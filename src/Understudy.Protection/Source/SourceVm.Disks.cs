using Understudy.Protection.Ports;

namespace Understudy.Protection.Source;

public sealed partial class SourceVm
{
    /// <summary>The sentence about disks that cannot take part; null when there are none.</summary>
    private string? _unsuitable;

    /// <summary>
    /// Takes up disks that came or went (CFG-9), durably, before they are captured. One that came and cannot be tracked is
    /// said and left out: the others go on. What size a disk really has, only its capture says.
    /// </summary>
    private async ValueTask TakeUpDisksAsync(VmFacts vm, CancellationToken cancellationToken)
    {
        VmFacts known = vm with { Disks = [.. vm.Disks.Select(WithKnownSize)] };
        DiskChoice choice = DiskChoice.Of(known, _policy.ExcludedDisks, await ReadDefinitionAsync(cancellationToken));
        NoteUnsuitable(choice.Unsuitable);
        if (choice.Disks.Count == 0)
        {
            throw new HypervisorException(
                HypervisorFault.Refused,
                $"VM {Spec.VmName} has no disk that can be replicated",
                _unsuitable is { } why ? $"{why}." : "Add a disk, or exclude fewer.");
        }

        await TakeUpDisksAsync(choice.Disks, cancellationToken);
    }

    private async ValueTask TakeUpDisksAsync(IReadOnlyList<DiskNow> now, CancellationToken cancellationToken)
    {
        SourceState next = DiskSet.TakeUp(_state, now, out IReadOnlyList<string> changes);
        if (changes.Count > 0)
        {
            await SaveAsync(next, cancellationToken);
            _statistics.CopyBegins();
            foreach (string change in changes)
            {
                Raise(SourceEventKind.DisksChanged, change, null);
            }
        }
    }

    /// <summary>False when a disk has grown, or is another one: that is taken up, and nothing of this capture is used.</summary>
    private async ValueTask<bool> HasSizesTakenUpAsync(IReadOnlyList<CapturedDisk> captured, CancellationToken cancellationToken)
    {
        Blocks.Invariant.Check(captured.Count == _state.Disks.Count, "the capture has other disks than were asked for");
        bool same = true;
        for (int i = 0; i < captured.Count; i++)
        {
            Blocks.Invariant.Check(captured[i].TargetDevice == _state.Disks[i].TargetDevice, "the capture's disks are in another order");
            same &= captured[i].SizeBytes == _state.Disks[i].SizeBytes;
        }

        if (!same)
        {
            await TakeUpDisksAsync([.. captured.Select(disk => new DiskNow(disk.TargetDevice, disk.SizeBytes))], cancellationToken);
        }

        return same;
    }

    /// <summary>A disk that left the definition between the look at it and the cut: no point is made that could not start.</summary>
    private void RequireDefined(string definition)
    {
        HashSet<string> defined = DiskChoice.DisksOf(definition);
        if (_state.Disks.FirstOrDefault(disk => !defined.Contains(disk.TargetDevice)) is { } gone)
        {
            throw new HypervisorException(HypervisorFault.Busy, $"disk {gone.TargetDevice} has just left the definition of VM {Spec.VmName}");
        }
    }

    private VmDiskFacts WithKnownSize(VmDiskFacts disk) =>
        _state.Disks.FirstOrDefault(known => known.TargetDevice == disk.TargetDevice) is { } before
            ? disk with { SizeBytes = before.SizeBytes }
            : disk;

    private void NoteUnsuitable(IReadOnlyList<UnsuitableDisk> disks)
    {
        string? sentence = disks.Count == 0 ? null : string.Join("; ", disks.Select(disk => disk.Why));
        if (sentence is not null && sentence != _unsuitable)
        {
            Raise(SourceEventKind.DiskNotProtected, $"{sentence}; it is not replicated", disks[0].Remedy);
        }

        _unsuitable = sentence;
    }
}
