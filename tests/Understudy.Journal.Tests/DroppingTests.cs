using Understudy.Blocks.Identity;
using Understudy.Journal.Tests.Rig;

namespace Understudy.Journal.Tests;

/// <summary>What readers of points see while those are being dropped.</summary>
public sealed class DroppingTests
{
    private const string FirstSegment = "journal/0000000000000001.seg";
    private static readonly DiskId A = new(0);

    /// <summary>The half of the journal that was still to be looked at had been cut by then, and what was left of it lay above
    /// the block that had been saved for the view: it read as at the older point.</summary>
    [Fact]
    public async Task A_view_that_looks_at_the_journal_while_it_is_cut_reads_its_own_point()
    {
        CrashDisk disk = new();
        SourceModel source = new(TestRig.Line1);
        Replica replica = await Replica.CreateAsync(TestRig.Environment(disk), TestRig.Spec, default);
        await replica.AppendAsync(source.SetGeometry(TestRig.Disk(0, 65536)));
        for (int i = 0; i < TestRig.Small.Segments.MaxRecords; i++)
        {
            await replica.AppendAsync(source.Write(A, 0, Filled(1)));
        }

        await replica.AppendAsync(source.Write(A, 0, Filled(2)), source.Checkpoint(TestRig.Start));
        RecoveryPointId parent = source.LastPoint;
        await replica.AppendAsync(source.Write(A, 0, Filled(3)), source.Checkpoint(TestRig.Start));
        await replica.FlushAsync(default);
        await using (ReplicaView view = await replica.OpenViewAsync(source.LastPoint, A, default))
        {
            byte[] found = new byte[4096];
            TaskCompletionSource whileCut = new(TaskCreationOptions.RunContinuationsAsynchronously);
            Task? reading = null;
            disk.BeforeChange = change =>
            {
                if (reading is null && change is CrashDisk.Change.Link { Name: var name } && name.StartsWith("divergence/", StringComparison.Ordinal))
                {
                    disk.BeforeRead = file => file == FirstSegment ? whileCut.Task : Task.CompletedTask;
                    reading = view.ReadAsync(0, found, default).AsTask();
                }
            };
            Assert.IsType<DropOutcome.Dropped>(await replica.DropAfterAsync(parent, default));
            Assert.False(Assert.IsType<Task>(reading, exactMatch: false).IsCompleted);
            whileCut.SetResult();
            await reading;
            Assert.Equal(Filled(3), found);
        }

        await replica.DisposeAsync();
    }

    private static byte[] Filled(byte value)
    {
        byte[] bytes = new byte[4096];
        bytes.AsSpan().Fill(value);
        return bytes;
    }
}
