using Understudy.Blocks;
using Understudy.Replication.Comparing;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Receiving;

public sealed partial class ReplicationReceiver
{
    /// <summary>What this target can do, of what the source has named, and what it must know of the replica.</summary>
    private static ProtocolFeatures FeaturesFor(ControlFrame.Hello hello, IReplicaSink sink) =>
        (hello.Features & ProtocolFeatures.Comparison) | (sink.HoldsSeed ? ProtocolFeatures.HoldsSeed : ProtocolFeatures.None);

    /// <summary>
    /// Answers a question about what the replica holds: all that came before the question is in the answer. The disk is
    /// opened for this one question, so that nothing older than it is kept in anybody's way.
    /// </summary>
    private static async Task AnswerAsync(ReceiverChannel channel, IReplicaSink sink, ComparedRange range, CancellationToken cancellationToken)
    {
        await using IBlockDevice? device = await StoreAsync(channel, () => sink.OpenNewestAsync(range.Disk, cancellationToken), cancellationToken);
        await using IAsyncEnumerator<ControlFrame.Sums> answers = new SumReader(device, range).ReadAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (await StoreAsync(channel, () => answers.MoveNextAsync(), cancellationToken))
        {
            await channel.WriteAsync(answers.Current, cancellationToken);
        }
    }
}
