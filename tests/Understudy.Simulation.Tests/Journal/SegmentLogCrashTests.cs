using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Storage;

namespace Understudy.Simulation.Tests.Journal;

/// <summary>
/// One log of segments, killed, without power, and on a disk that fails, many times a seed. What was promised by a flush
/// is there after every restart, in order and byte for byte; what was not promised is there whole or not at all.
/// </summary>
public sealed class SegmentLogCrashTests
{
    private const int Seeds = 60;
    private static readonly LineId Line = new(1, 7);

    [Fact]
    public void What_a_flush_promised_survives_every_crash()
    {
        long restarts = 0;
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var run = new Run(seed);
            string? wrong = run.Go();
            Assert.True(wrong is null, $"seed {seed}: {wrong}\n{TraceOf(seed)}");
            restarts += run.Restarts;
        }

        Assert.True(restarts > Seeds * 5, $"only {restarts} restarts: the test has lost its teeth");
    }

    /// <summary>The end of the same run once more, in words.</summary>
    private static string TraceOf(ulong seed)
    {
        using var text = new StringWriter();
        new Run(seed, text).Go();
        return string.Join('\n', text.ToString().Split('\n').TakeLast(60));
    }

    private sealed class Run(ulong seed, TextWriter? trace = null)
    {
        private readonly Simulator _simulator = new(seed, new SimTrace(trace), new SimulatorLimits { Steps = 100_000 });
        private readonly SimRandom _random = new(seed * 31);
        private readonly List<byte[]> _records = [];
        private ulong _promised;
        private bool _created;
        private string? _wrong;

        public long Restarts { get; private set; }

        public string? Go()
        {
            try
            {
                _simulator.Run(LivesAsync);
            }
            catch (SimulationException broken)
            {
                _wrong ??= broken.ToString();
            }

            return _wrong;
        }

        private async Task LivesAsync()
        {
            var host = new SimHost(_simulator, "a");
            for (int life = 0; life < 12 && _wrong is null; life++)
            {
                SetFaults(host.Disk.Faults);
                SimProcess process = host.Start("log", self => LiveAsync(host, self));
                StrikeLater(host, process);
                await process.Ended;
                Judge(process.Failure);
                host.Boot();
                Restarts++;
            }
        }

        private void SetFaults(StorageFaults faults)
        {
            faults.Clear();
            switch (_random.Next(5))
            {
                case 0:
                    faults.FlushFailure = 0.1;
                    break;
                case 1:
                    faults.WriteError = 0.1;
                    break;
                case 2:
                    faults.ReadError = 0.1;
                    break;
            }
        }

        private void StrikeLater(SimHost host, SimProcess process)
        {
            long at = host.Disk.Counters.Operations + _random.Between(3, 80);
            bool power = _random.Chance(0.6);
            host.Disk.OnOperation = number =>
            {
                if (number == at && power)
                {
                    host.PowerLoss();
                }
                else if (number == at)
                {
                    process.Kill();
                }
            };
        }

        private void Judge(Exception? failure)
        {
            if (failure is not (null or StorageException { Kind: FaultKind.Io or FaultKind.FlushFailed or FaultKind.Closed or FaultKind.Full }))
            {
                _wrong ??= failure.ToString();
            }
        }

        private async Task LiveAsync(SimHost host, SimProcess self)
        {
            IFileStore store = host.Disk.OpenStore(self, "");
            var options = new SegmentLogOptions
            {
                Store = store,
                Prefix = "spool/",
                Replica = new ReplicaId(new Guid(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)),
                Time = self.Time,
                Logger = NullLogger.Instance,
                Segments = new SegmentSettings { TargetBytes = 24 * 1024, BatchBytes = 4096 },
            };
            SegmentLog log;
            if (_created)
            {
                log = await SegmentLog.OpenAsync(options, default);
                await CheckAsync(log, store);
            }
            else
            {
                log = await SegmentLog.CreateAsync(options, firstSequence: 1, default);
                await store.FlushFolderAsync("", default);
                _created = true;
            }

            while (true)
            {
                await AppendAsync(log);
                if (_random.Chance(0.3))
                {
                    _promised = Math.Max(_promised, await log.FlushAsync(default));
                }
            }
        }

        private async Task AppendAsync(SegmentLog log)
        {
            using var codec = new RecordCodec();
            byte[] data = new byte[512 * _random.Between(1, 12)];
            for (int i = 0; i < data.Length; i += 7)
            {
                data[i] = (byte)_random.Next(256);
            }

            byte[] record = new byte[RecordHeader.SizeBytes + data.Length];
            ulong sequence = log.ReceivedSequence + 1;
            int size = codec.EncodeData(Line, sequence, new DiskId(0), _random.Next(64) * 65536L, data, record);
            byte[] whole = record[..size];
            Assert.Equal(RecordDefect.None, RecordHeader.Read(whole, out RecordHeader header));
            _records.RemoveRange((int)sequence - 1, _records.Count - ((int)sequence - 1));
            _records.Add(whole);
            await log.AppendAsync(header, whole, default);
        }

        private async Task CheckAsync(SegmentLog log, IFileStore store)
        {
            if (log.FlushedSequence < _promised)
            {
                _wrong ??= $"sequence {_promised} was promised, {log.FlushedSequence} is there";
            }

            _promised = Math.Max(_promised, log.FlushedSequence);
            ulong next = 1;
            foreach (StoreEntry entry in (await store.ListAsync("spool", default)).Where(e => e.Name.EndsWith(".seg", StringComparison.Ordinal)))
            {
                await using IStoreFile file = await store.OpenAsync(entry.Name, FileOpen.Read, default);
                using var scanner = new SegmentScanner(file, SegmentHeader.SizeBytes, file.LengthBytes);
                for (ScanStep step = await scanner.NextAsync(default); step.Result == ScanResult.Record; step = await scanner.NextAsync(default))
                {
                    if (step.Header.Sequence != next || !step.Record.Span.SequenceEqual(_records[(int)next - 1]))
                    {
                        _wrong ??= $"record {next} is not what was appended";
                        return;
                    }

                    next++;
                }
            }

            if (next - 1 != log.ReceivedSequence)
            {
                _wrong ??= $"the log says {log.ReceivedSequence}, its files hold {next - 1}";
            }
        }
    }
}
