using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Replication.Receiving;
using Understudy.Replication.Sending;
using Understudy.Replication.Wire;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;

namespace Understudy.Simulation.Tests.Journal;

/// <summary>What the simulation has found between the link and the replica.</summary>
public sealed class FoundInReceiverTests
{
    /// <summary>The replica was taken over while its old source was sending; the flush went back, and the agent's listener stopped.</summary>
    [Fact]
    public void Source_that_is_replaced_while_it_sends_is_refused_as_stale()
    {
        var simulator = new Simulator(1);
        Exception? seen = null;
        simulator.Run(async () =>
        {
            var network = new SimNetwork(simulator);
            var source = new SimHost(simulator, "source");
            var target = new SimHost(simulator, "target");
            var replica = new TakenOver();
            SimProcess receiver = target.Start("receiver", self =>
            {
                var serving = new ReplicationReceiver(replica, "test", self.Time, NullLogger<ReplicationReceiver>.Instance);
                network.Listen(self, "data", stream => serving.ServeAsync(stream, Guid.Empty, default));
                return new TaskCompletionSource().Task;
            });
            SimProcess sending = source.Start("sender", async self =>
            {
                await Task.Delay(TimeSpan.FromSeconds(1), self.Time);
                Stream stream = await network.ConnectAsync(self, target, "data", default);
                var identity = new SenderIdentity(new ReplicaId(Guid.Empty), new VmId(Guid.Empty), new LineId(1, 7), "test");
                ReplicationSender sender = await ReplicationSender.ConnectAsync(stream, identity, self.Time, default);
                replica.TakeOver();
                await sender.EndBatchAsync(default);
                seen = await Record.ExceptionAsync(async () => await sender.WaitAcknowledgedAsync(100, default));
            });
            await sending.Ended;
            Assert.Null(sending.Failure);
        });

        Assert.Equal(RefusalCode.StaleLine, Assert.IsType<RefusedException>(seen).Refusal.Code);
    }

    private sealed class TakenOver : IReplicaSink, IReplicaDirectory
    {
        public CurrentLine Current { get; private set; } = new(new LineId(1, 7));

        public CancellationToken LineEnds => CancellationToken.None; // It is the flush that finds out.

        public ulong ReceivedSequence => FlushedSequence;

        public ulong FlushedSequence { get; private set; } = 20;

        public RecoveryPointId? LastPoint => null;

        public void TakeOver() => (Current, FlushedSequence) = (new CurrentLine(new LineId(2, 8)), 16);

        public ValueTask<AppendOutcome> AppendAsync(ReadOnlyMemory<byte> record, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public bool HoldsSeed => false;

        public ValueTask<Blocks.IBlockDevice?> OpenNewestAsync(DiskId disk, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<ulong> FlushAsync(CancellationToken cancellationToken) => ValueTask.FromResult(FlushedSequence);

        public ValueTask<DirectoryAnswer> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken) =>
            ValueTask.FromResult<DirectoryAnswer>(new DirectoryAnswer.Found(this));
    }
}
