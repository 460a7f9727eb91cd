using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Replication.Receiving;
using Understudy.Replication.Sending;
using Understudy.Replication.Wire;
using Understudy.Testing;

namespace Understudy.Replication.Tests.Transfer;

/// <summary>A source with records to send, and a target with one replica, joined by links that tests make and cut.</summary>
internal sealed class TransferWorld : IReplicaDirectory
{
    private readonly ReplicationReceiver _receiver;

    public TransferWorld(int records = 0, int seed = 1, ILogger<ReplicationReceiver>? logger = null)
    {
        Sink = new RecordingSink(Identity.Line);
        _receiver = new ReplicationReceiver(this, "0.1.0", Time, logger ?? NullLogger<ReplicationReceiver>.Instance);
        Records = MakeRecords(Identity.Line, records, seed);
    }

    public static SenderIdentity Identity { get; } = new(
        new ReplicaId(new Guid(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)),
        new VmId(new Guid(11, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)),
        new LineId(1, 7),
        "0.1.0");

    public static Guid Agent { get; } = new(21, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);

    public ManualTime Time { get; } = new();

    public RecordingSink Sink { get; }

    public IReadOnlyList<byte[]> Records { get; }

    public Refusal? DirectoryRefusal { get; set; }

    public ValueTask<DirectoryAnswer> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken) =>
        ValueTask.FromResult<DirectoryAnswer>(DirectoryRefusal is { } refusal
            ? new DirectoryAnswer.Refused(refusal)
            : new DirectoryAnswer.Found(Sink));

    /// <summary>Serves the link's server end until it ends, as an agent's accept loop does.</summary>
    public async Task<UnderstudyException> ServeAsync(Stream stream, CancellationToken cancellationToken = default)
    {
        await using (stream)
        {
            return (await _receiver.ServeAsync(stream, Agent, cancellationToken))!; // nobody is called here
        }
    }

    public ValueTask<ReplicationSender> ConnectAsync(MemoryLink link, SenderIdentity? identity = null) =>
        ReplicationSender.ConnectAsync(link.Client, identity ?? Identity, Time, CancellationToken.None);

    /// <summary>Sends everything the target does not have and waits until it is durable there.</summary>
    public async Task SendAllAsync(ReplicationSender sender)
    {
        for (ulong sequence = sender.AcknowledgedSequence + 1; sequence <= (ulong)Records.Count; sequence++)
        {
            await sender.SendAsync(Records[(int)sequence - 1], sequence, CancellationToken.None);
        }

        await sender.EndBatchAsync(CancellationToken.None);
        await sender.WaitAcknowledgedAsync((ulong)Records.Count, CancellationToken.None);
    }

    public static byte[][] MakeRecords(LineId line, int count, int seed)
    {
        Random random = new(seed);
        using RecordCodec codec = new();
        byte[] buffer = new byte[RecordLimits.MaxRecordBytes];
        byte[][] records = new byte[count][];
        for (int i = 0; i < count; i++)
        {
            ulong sequence = (ulong)i + 1;
            int bytes;
            if (random.Next(3) == 0)
            {
                bytes = RecordCodec.EncodeZero(line, sequence, new DiskId(0), new ByteRange(512L * random.Next(1000), 512), buffer);
            }
            else
            {
                byte[] data = new byte[512];
                random.NextBytes(data.AsSpan(0, random.Next(1, 60)));
                bytes = codec.EncodeData(line, sequence, new DiskId(0), 512L * random.Next(1000), data, buffer);
            }

            records[i] = buffer[..bytes];
        }

        return records;
    }
}
