using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Replication;
using Understudy.Replication.Comparing;
using Understudy.Replication.Sending;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Source;

/// <summary>
/// What the target holds of the ground that the next slices compare, asked for ahead of them: no capture waits for the
/// network, and the target reads while the source does. Good for one connection, and only while
/// <see cref="ComparedGround.SumsHold"/>. Its own task asks; the engine's loop takes. They meet under the lock.
/// </summary>
internal sealed class SumsAhead : SliceSums, IAsyncDisposable
{
    /// <summary>Answers held: 8 MiB of sums, for 32 GiB of disk.</summary>
    private const int MostTables = 512;

    private readonly ReplicationSender _sender;
    private readonly Lock _lock = new();
    private readonly List<SumTable> _tables = []; // In the order of asking, which is that of the slices.
    private readonly Pulse _changed = new();
    private readonly CancellationTokenSource _ending = new();
    private readonly Task _asking;
    private UnderstudyException? _fault;
    private bool _isDone;

    public SumsAhead(ReplicationSender sender, IReadOnlyList<SourceDisk> disks)
    {
        _sender = sender;
        _asking = AskAllAsync(ComparedGround.Questions(disks));
    }

    public override bool Compares => true;

    /// <summary>Up to where sums are held without a gap.</summary>
    public override long KnownTo(DiskId disk, ByteRange ground)
    {
        lock (_lock)
        {
            long known = ground.OffsetBytes;
            foreach (SumTable table in _tables)
            {
                if (table.Of.Disk == disk && table.Of.Range.OffsetBytes <= known)
                {
                    known = Math.Max(known, table.Of.Range.EndBytes);
                }
            }

            return Math.Min(known, ground.EndBytes);
        }
    }

    public override ContentSum At(DiskId disk, long offsetBytes)
    {
        lock (_lock)
        {
            foreach (SumTable table in _tables)
            {
                if (table.Of.Disk == disk && table.Of.Range.Contains(offsetBytes))
                {
                    return table.At(offsetBytes);
                }
            }
        }

        throw new InvariantException($"no sum is held of disk {disk} at {offsetBytes}");
    }

    /// <summary>Returns when sums of so many bytes are held from there on, or of all there is on this disk.</summary>
    /// <exception cref="UnderstudyException">The connection has ended.</exception>
    public async ValueTask WaitAsync(DiskId disk, ByteRange wanted, CancellationToken cancellationToken)
    {
        while (true)
        {
            long seen = _changed.Beats;
            if (KnownTo(disk, wanted) == wanted.EndBytes)
            {
                return;
            }

            lock (_lock)
            {
                if (_fault is { } fault)
                {
                    System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(fault);
                }

                Invariant.Check(!_isDone, "all sums were asked for and some are missing");
            }

            await _changed.WaitPastAsync(seen, cancellationToken);
        }
    }

    /// <summary>Gives back what lies before the copies, so that more is asked for.</summary>
    public void Forget(IReadOnlyList<SourceDisk> copied)
    {
        lock (_lock)
        {
            _tables.RemoveAll(table => copied.Any(disk => disk.Disk == table.Of.Disk && disk.CopiedBytes >= table.Of.Range.EndBytes));
        }

        _changed.Beat();
    }

    public async ValueTask DisposeAsync()
    {
        _ending.Cancel();
        await _asking;
        _ending.Dispose();
    }

    private async Task AskAllAsync(IEnumerable<ComparedRange> questions)
    {
        Queue<Task<SumTable>> asked = new();
        try
        {
            foreach (ComparedRange question in questions)
            {
                if (asked.Count == ProtocolLimits.QuestionsOut)
                {
                    Add(await asked.Peek());
                    _ = asked.Dequeue();
                }

                await WaitForRoomAsync(asked.Count);
                asked.Enqueue(_sender.AskSumsAsync(question, _ending.Token).AsTask());
            }

            while (asked.TryPeek(out Task<SumTable>? oldest))
            {
                Add(await oldest);
                _ = asked.Dequeue();
            }

            End(fault: null);
        }
        catch (UnderstudyException fault)
        {
            End(fault);
        }
        catch (OperationCanceledException)
        {
            End(new ConnectionLostException("the comparison was ended by this side"));
        }

        foreach (Task<SumTable> left in asked)
        {
            await ((Task)left).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }
    }

    private async ValueTask WaitForRoomAsync(int underWay)
    {
        while (true)
        {
            long seen = _changed.Beats;
            lock (_lock)
            {
                if (_tables.Count + underWay < MostTables)
                {
                    return;
                }
            }

            await _changed.WaitPastAsync(seen, _ending.Token);
        }
    }

    private void Add(SumTable table)
    {
        lock (_lock)
        {
            _tables.Add(table);
        }

        _changed.Beat();
    }

    private void End(UnderstudyException? fault)
    {
        lock (_lock)
        {
            (_fault, _isDone) = (fault, true);
        }

        _changed.Beat();
    }
}
