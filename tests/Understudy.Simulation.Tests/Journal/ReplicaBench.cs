using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Tests.Journal;

/// <summary>A replica on a simulated host, and the records to feed it: for scenarios that need a kill or a power loss.</summary>
internal sealed class ReplicaBench
{
    public static readonly LineId FirstLine = new(1, 7);
    private readonly SimRandom _random = new(1);

    private ReplicaBench(Simulator simulator) => Host = new SimHost(simulator, "target");

    public SimHost Host { get; }

    public static void Run(Func<ReplicaBench, Task> body)
    {
        var simulator = new Simulator(1);
        simulator.Run(() => body(new ReplicaBench(simulator)));
    }

    /// <summary>One life of a process with the replica, up to its end.</summary>
    public async Task LifeAsync(Func<SimProcess, ReplicaEnvironment, Task> body)
    {
        SimProcess process = Host.Start("replica", self => body(self, Environment(self)));
        await process.Ended;
        Assert.Null(process.Failure);
    }

    public Task CreateAsync(Func<Replica, Task> body) => LifeAsync(async (self, environment) =>
    {
        IFileStore root = Host.Disk.OpenStore(self, "");
        await root.CreateFolderAsync("r", default);
        await root.FlushFolderAsync("", default);
        await body(await Replica.CreateAsync(environment, new NewReplica(new ReplicaId(new Guid(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)), new VmId(Guid.Empty), FirstLine, "test"), default));
    });

    /// <summary>One block of data (on the first call, the geometry before it) and a checkpoint, flushed.</summary>
    public static async Task<RecoveryPoint> FeedAsync(Replica replica, byte value)
    {
        using var codec = new RecordCodec();
        byte[] record = new byte[RecordHeader.SizeBytes + BlockSize.Bytes];
        if (replica.ReceivedSequence == 0)
        {
            var geometry = new GeometryBody([new DiskGeometry(new DiskId(0), "vda", 4 * BlockSize.Bytes)]);
            await AppendAsync(replica, record, codec.EncodeGeometry(replica.Line, 1, geometry, record));
        }

        byte[] data = new byte[BlockSize.Bytes];
        data.AsSpan().Fill(value);
        await AppendAsync(replica, record, codec.EncodeData(replica.Line, replica.ReceivedSequence + 1, new DiskId(0), 0, data, record));
        var checkpoint = new CheckpointBody { Kind = PointKind.Crash, CutAt = DateTimeOffset.UnixEpoch.AddSeconds(value) };
        await AppendAsync(replica, record, codec.EncodeCheckpoint(replica.Line, replica.ReceivedSequence + 1, checkpoint, record));
        await replica.FlushAsync(default);
        return replica.Points[^1];
    }

    private static async Task AppendAsync(Replica replica, byte[] record, int size) =>
        Assert.IsType<AppendOutcome.Accepted>(await replica.AppendAsync(record.AsMemory(0, size), default));

    private ReplicaEnvironment Environment(SimProcess self) => new(
        Host.Disk.OpenStore(self, "r"), new Bases(Host, self), self.Time, new SeededIds(_random), ReplicaSettings.Default, NullLogger.Instance);

    private sealed class Bases(SimHost host, SimProcess process) : IBaseImages
    {
        public ValueTask<IBlockDevice> OpenAsync(DiskGeometry disk, bool readOnly, CancellationToken cancellationToken) =>
            ValueTask.FromResult(host.Disk.OpenDevice(process, $"bases/{disk.Target}.img", disk.SizeBytes, readOnly));

        public ValueTask DeleteAsync(DiskId disk, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
