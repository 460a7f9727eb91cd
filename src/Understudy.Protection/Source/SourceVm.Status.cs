using Understudy.Blocks;
using Understudy.Protection.Source.Guest;

namespace Understudy.Protection.Source;

public sealed partial class SourceVm
{
    /// <summary>While records are sent the picture is renewed this often.</summary>
    private const ulong ShowEveryRecords = 256;

    private SourceFault? _fault;
    private bool _targetFull;
    private bool _linkIsLost;

    /// <summary>Replaces the picture; called by the engine's loop only.</summary>
    private void ShowState(SourceWait wait = SourceWait.None, DateTimeOffset? until = null)
    {
        SourceState state = _state;
        bool copying = state.Copy is not null || state.IsCopying;
        (long done, long total) = copying ? CopyDone(state) : (0, 0);
        long rate = (long)_statistics.CopyBytesPerSecond;
        _status = new SourceStatus
        {
            Phase = state.Copy?.Kind switch
            {
                CopyKind.First => SourcePhase.FirstCopy,
                CopyKind.Resynchronisation => SourcePhase.Resynchronising,
                _ => SourcePhase.Protected, // What grew or joins is copied beside what is protected.
            },
            Wait = wait,
            WaitUntil = until,
            Connected = _sender is { EndReason: null },
            CopyDoneBytes = done,
            CopyTotalBytes = total,
            CopyBytesPerSecond = copying ? rate : 0,
            CopyTimeLeft = !copying || rate == 0 ? null : TimeSpan.FromSeconds((double)(total - done) / rate),
            CopyReason = state.Copy?.Reason,
            LastPoint = state.LastPoint is { } point ? PointOf(point) : null,
            BytesBehind = state.Pending is { } pending ? (long)(pending.Bytes * (1 - Sent(pending))) : 0,
            LinkBytesPerSecond = (long)_statistics.LinkBytesPerSecond,
            NextCutAt = state.Copy is null && Due is { } due
                ? _environment.Time.GetUtcNow() + _environment.Time.GetElapsedTime(_environment.Time.GetTimestamp(), due)
                : null,
            LastCycleDuration = _statistics.LastDuration,
            CyclesMade = _statistics.Made,
            CyclesMissed = _statistics.Missed,
            CyclesFailed = _statistics.Failed,
            AverageCycleBytes = _statistics.AverageBytes,
            LargestCycleBytes = _statistics.LargestBytes,
            TargetFull = _targetFull,
            Fault = _fault,
            Warning = _statistics.LinkWarning(copying),
            Disks = state.Disks,
            PausedBy = state.PausedBy,
            DisksLeftOut = _unsuitable,
        };
        StatusChanged.Beat();
    }

    /// <summary>The highest sequence ever given to a record; <see cref="NotedDisk.Undecided"/> while disks are read whose records
    /// have none yet.</summary>
    internal ulong UsedSequence => _isCutting ? NotedDisk.Undecided : _state.UsedSequence;

    /// <summary>Of these disks of the VM, the target devices of those that the target's points hold: a disk that took another one's
    /// place has its name, and is in no point before the next one.</summary>
    public IReadOnlyList<string> Replicated(IReadOnlyList<NotedDisk> noted)
    {
        SourceState state = _state;
        ulong newest = state.LastPoint?.Sequence ?? 0;
        return
        [
            .. state.Disks.Where(disk => !disk.Joining).Select(disk => disk.TargetDevice)
                .Where(device => noted.FirstOrDefault(known => known.TargetDevice == device) is not { After: { } after } || newest > after),
        ];
    }

    /// <summary>Bytes of the disks that are at the target, and of all: of the whole VM, or of the disks that join it. A pending
    /// slice counts by the records acknowledged of it.</summary>
    private (long Done, long Total) CopyDone(SourceState state)
    {
        bool OfCopy(SourceDisk disk) => state.Copy is not null || disk.Joining;
        long total = state.Disks.Where(OfCopy).Sum(disk => disk.SizeBytes);
        long done = state.Disks.Where(OfCopy).Sum(disk => disk.CopiedBytes);
        if (state.Pending is { } pending)
        {
            long reached = state.Disks.Zip(pending.Disks).Where(pair => OfCopy(pair.First)).Sum(pair => pair.Second.CopiedBytes);
            done += (long)((reached - done) * Sent(pending));
        }

        return (done, total);
    }

    private static long CopiedBytes(IReadOnlyList<SourceDisk> disks) => disks.Sum(disk => disk.CopiedBytes);

    private double Sent(PendingCycle pending)
    {
        ulong acknowledged = _sender?.AcknowledgedSequence ?? 0;
        return acknowledged < pending.FirstSequence
            ? 0
            : (double)(acknowledged - pending.FirstSequence + 1) / (pending.LastSequence - pending.FirstSequence + 1);
    }

    private void NoteFault(SourceWait wait, UnderstudyException fault)
    {
        _fault = new SourceFault(fault.Message, fault.Remedy, fault.Class, wait, _environment.Time.GetUtcNow());
        switch (wait)
        {
            case SourceWait.SpaceAtTarget when !_targetFull:
                _targetFull = true;
                Raise(SourceEventKind.TargetFull, fault.Message, fault.Remedy);
                break;
            case SourceWait.Link:
                // Each time: a link that comes and goes was answering a moment ago, and a pause that has grown long must end
                // when it does again. A peer that answers and is not the target's agent is nobody to hurry for.
                _peerAnswers &= fault.Class != FaultClass.Transient;
                if (!_linkIsLost)
                {
                    _linkIsLost = true;
                    Raise(SourceEventKind.LinkLost, fault.Message, fault.Remedy);
                }

                break;
        }
    }

    private void NoteConnected()
    {
        _peerAnswers = true;
        if (_linkIsLost)
        {
            _linkIsLost = false;
            Raise(SourceEventKind.LinkBack, "the target is connected again", null);
        }
    }

    private void ClearFault()
    {
        _fault = null;
        _targetFull = false;
    }

    private void RaiseCopyDone(CopyState done, ComparedBytes compared)
    {
        string numbers = compared == default ? ""
            : $"; of {ByteWords.Of(compared.Same + compared.Different)} compared with the target, {ByteWords.Of(compared.Different)} differed and were sent";
        if (done.Kind == CopyKind.First)
        {
            Raise(SourceEventKind.FirstPoint, $"the first copy is complete: the first recovery point is listed{numbers}", null);
        }
        else if (done.Kind == CopyKind.Resynchronisation)
        {
            Raise(SourceEventKind.ResynchronisationDone, $"the resynchronisation is complete: cycles go on{numbers}", null);
        }
    }

    private void RaiseJoined(IReadOnlyList<SourceDisk> before, IReadOnlyList<SourceDisk> now)
    {
        foreach ((SourceDisk was, SourceDisk disk) in before.Zip(now))
        {
            if (was.Joining && !disk.Joining)
            {
                Raise(SourceEventKind.DiskJoined, $"disk {disk.TargetDevice} is whole at the target: recovery points have it from now on", null);
            }
        }
    }

    private void Raise(SourceEventKind kind, string what, string? remedy)
    {
        Log.Happened(_environment.Logger, Spec.Vm, kind, what);
        _environment.Events.Raise(new SourceEvent(kind, Spec.Vm, $"VM {Spec.VmName}: {what}", remedy, _environment.Time.GetUtcNow()));
    }
}
