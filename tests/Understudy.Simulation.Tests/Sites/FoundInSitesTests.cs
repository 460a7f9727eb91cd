using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Journal;
using Understudy.Model;
using Understudy.Protection.Source;
using Understudy.Protection.Target;
using Understudy.Protection.Target.Runs;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Tests.Sites;

/// <summary>What the simulation of two whole sides has found, each once more by hand, named after what happened.</summary>
public sealed class FoundInSitesTests
{
    /// <summary>The folder of the tests' files was never flushed: a power loss took it with the file, and VM, overlay, daemon
    /// and network of the test stood there for ever with nobody who knew of them.</summary>
    [Fact]
    public void A_test_that_was_reported_as_running_is_known_after_a_power_loss() => HostBench.Run(async bench =>
    {
        await bench.LifeAsync(async (self, host) =>
        {
            RecoveryPoint point = await bench.FeedAsync(self, host);
            await host.StartTestAsync(HostBench.Test(point.Id), default);
        });
        await bench.LosePowerAsync();
        await bench.LifeAsync(async (_, host) =>
        {
            Assert.Equal(TestStep.Running, Assert.Single(host.Status.Tests).Step);
            await host.CompleteTestAsync(host.Status.Tests[0].Id, null, default);
            Assert.Empty(bench.Machine.Domains);
        });
    });

    /// <summary>Power went while the file of a test was first written. What was left of it was nobody's, and kept the replica's
    /// folder for ever: the VM could not be protected to this host again.</summary>
    [Fact]
    public void Of_a_test_that_was_never_begun_nothing_is_left() => HostBench.Run(async bench =>
    {
        string half = "";
        await bench.LifeAsync(async (self, host) =>
        {
            RecoveryPoint point = await bench.FeedAsync(self, host);
            bench.Machine.Host.Disk.Faults.FlushFailure = 1;
            await Assert.ThrowsAsync<StorageException>(async () => await host.StartTestAsync(HostBench.Test(point.Id), default));
            half = Assert.Single(bench.Machine.Host.Disk.ListAll(""), file => file.Name.EndsWith(".new", StringComparison.Ordinal)).Name;
            bench.Machine.Host.Disk.Faults.Clear();
        });
        await bench.LifeAsync((_, _) =>
        {
            Assert.DoesNotContain(bench.Machine.Host.Disk.ListAll(""), file => file.Name == half);
            return Task.CompletedTask;
        });
    });

    /// <summary>Its host was full when a protection was to end: the order failed, and yet the next change of a setting wrote that the
    /// replica is being removed. It was failed over, and the next agent took the journal away from under the running VM.</summary>
    [Fact]
    public void An_end_of_protection_that_failed_does_not_come_back() => HostBench.Run(async bench =>
    {
        await bench.LifeAsync(async (self, host) =>
        {
            RecoveryPoint point = await bench.FeedAsync(self, host);
            bench.Machine.Host.Disk.Faults.Full = true;
            await Assert.ThrowsAsync<StorageException>(async () => await host.UnprotectAsync(withBranches: false, atSource: false, default));
            bench.Machine.Host.Disk.Faults.Full = false;
            await host.ConfigureAsync(TimeSpan.FromHours(2), default);
            await host.StartFailoverAsync(HostBench.Failover(point), default);
        });
        await bench.LifeAsync((_, host) =>
        {
            Assert.Equal(FailoverStep.Running, host.Status.Failover?.Step);
            Assert.Single(host.Points);
            return Task.CompletedTask;
        });
    });

    /// <summary>An agent died when all but the last file of an ended protection was gone. The next one did not find the failover
    /// any more that the images belonged to, took them for those of a replica, and deleted the disks of the VM.</summary>
    [Fact]
    public void The_disks_of_a_committed_VM_outlive_an_end_of_protection_that_dies_anywhere()
    {
        bool hasEnded = false;
        for (int operations = 1; !hasEnded; operations++)
        {
            HostBench.Run(1, async bench =>
            {
                hasEnded = await DiesRemovingAsync(bench, operations);
                await bench.Machine.Simulator.DelayAsync(TimeSpan.FromSeconds(1));
                Assert.NotNull(bench.Machine.Images.GetValueOrDefault("/images/vm0/vda-0.qcow2"));
            });
        }
    }

    /// <summary>False when the agent died of it.</summary>
    private static async Task<bool> DiesRemovingAsync(HostBench bench, int operations)
    {
        bool hasEnded = false;
        await bench.LifeAsync(async (self, host) =>
        {
            RecoveryPoint point = await bench.FeedAsync(self, host);
            await host.StartFailoverAsync(HostBench.Failover(point), default);
            while ((await host.CommitAsync(default)).Pending is not null)
            {
                await self.TakeTimeAsync(TimeSpan.FromSeconds(1));
            }

            long last = bench.Machine.Host.Disk.Counters.Operations + operations;
            bench.Machine.Host.Disk.OnOperation = number =>
            {
                if (number == last)
                {
                    self.Kill();
                }
            };
            await host.UnprotectAsync(withBranches: false, atSource: false, default);
            hasEnded = true;
        });
        bench.Machine.Host.Disk.OnOperation = null;
        bool stood = bench.HasReplica;
        await bench.OpenAsync();
        if (stood && !bench.HasReplica)
        {
            // Nobody waits for an answer of this agent: what it kept is told without being asked for.
            SourceEvent said = Assert.Single(bench.News);
            Assert.Equal(SourceEventKind.KeptAtEnd, said.Kind);
            Assert.Contains("/images/vm0/vda-0.qcow2", said.What, StringComparison.Ordinal);
        }

        return hasEnded;
    }

    /// <summary>The write that was to remove an export's pin failed. The export was over, nobody owned the pin any more, and it
    /// held up the commit for ever.</summary>
    [Fact]
    public void A_pin_whose_removal_failed_goes_later() => HostBench.Run(async bench => await bench.LifeAsync(async (self, host) =>
    {
        RecoveryPoint point = await bench.FeedAsync(self, host);
        Task<IReadOnlyList<string>> export = host.ExportPointAsync(point.Id, "/exports/one", "raw", default).AsTask();
        while (host.Status.Replica!.Pins.Count == 0)
        {
            await self.TakeTimeAsync(TimeSpan.FromMilliseconds(1));
        }

        bench.Machine.Host.Disk.Faults.WriteError = 1;
        await Assert.ThrowsAsync<StorageException>(() => export);
        bench.Machine.Host.Disk.Faults.Clear();
        await self.TakeTimeAsync(TimeSpan.FromSeconds(15));
        Assert.Empty(host.Status.Replica!.Pins);
    }));

    /// <summary>Power went while the first file of a replica was being written. What was left of it passed for a replica that
    /// cannot be read: the VM could not be protected to this host again, nor could it be cleaned up.</summary>
    [Fact]
    public void Of_a_replica_that_was_never_made_nothing_is_left() => RunAgent(async (host, self) =>
    {
        IFileStore store = host.Disk.OpenStore(self, "");
        await using (IStoreFile half = await store.OpenAsync(RunFiles.Replica + ".new", FileOpen.New, default))
        {
            await half.WriteAsync(0, new byte[10], default);
        }

        Assert.Null(await ReplicaHost.OpenAsync(HostBench.Services(new RunContext(1, Plant.None, null), host, self), new ReplicaStores(store, store), default));
        Assert.Empty(host.Disk.ListAll(""));
    });

    /// <summary>A replica was closed to be opened anew while somebody waited to ask it for a point.</summary>
    [Fact]
    public void A_point_of_a_closed_replica_is_refused_in_words() => HostBench.Run(async bench => await bench.LifeAsync(async (self, host) =>
    {
        RecoveryPoint point = await bench.FeedAsync(self, host);
        Replica replica = host.OpenReplica!;
        Task closing = replica.DisposeAsync().AsTask();
        StorageException closed = await Assert.ThrowsAsync<StorageException>(async () => await replica.GetPointAsync(point.Id, default));
        await closing;
        Assert.Equal(FaultKind.Closed, closed.Kind);
    }));

    /// <summary>A flush of the log of outcomes failed: from then on no order was ever answered, until the agent was restarted.</summary>
    [Fact]
    public void An_order_whose_outcome_cannot_be_kept_is_answered_so_and_the_next_one_is_kept() => RunAgent(async (host, self) =>
    {
        AgentOperations agent = await OperationsAsync(host, self);
        host.Disk.Faults.FlushFailure = 1;
        ResponseMessage lost = await AskAsync(agent, 1);
        Assert.Equal("storage-flushfailed", lost.Error?.Error.Code);

        host.Disk.Faults.Clear();
        Assert.NotNull((await AskAsync(agent, 2)).Body);
        AgentOperations restarted = await OperationsAsync(host, self);
        Assert.NotNull((await AskAsync(restarted, 2)).Body);
    });

    /// <summary>An agent was killed between rename and flush; the next one acted on what it found, and a power loss took it back.</summary>
    [Fact]
    public void A_document_that_was_read_is_there_after_a_power_loss()
    {
        for (ulong seed = 1; seed <= 20; seed++)
        {
            var simulator = new Simulator(seed);
            simulator.Run(async () =>
            {
                var host = new SimHost(simulator, "host");
                await LifeAsync(host, async self =>
                {
                    IFileStore store = host.Disk.OpenStore(self, "");
                    await RunFiles.ReplicaDocument.SaveAsync(store, RunFiles.Replica, Spec("first"), default);
                    host.Disk.OnOperation = number => KillAtTheLastFlush(host, self, ref _operations, number);
                    await RunFiles.ReplicaDocument.SaveAsync(store, RunFiles.Replica, Spec("second"), default);
                });
                host.Disk.OnOperation = null;
                string? found = null;
                await LifeAsync(host, async self => found = await LoadAsync(host, self));
                host.PowerLoss();
                await simulator.DelayAsync(TimeSpan.FromSeconds(1));
                host.Boot();
                await LifeAsync(host, async self => Assert.Equal(found, await LoadAsync(host, self)));
            });
            _operations = 0;
        }
    }

    /// <summary>A flush of the outcomes failed, and the kernel kept the line in its memory as if it were written. The next agent read it
    /// there and went on behind it; then the power went, and with a hole in its outcomes no agent started any more.</summary>
    [Fact]
    public void Outcomes_whose_flush_failed_are_whole_after_a_later_power_loss()
    {
        for (ulong seed = 1; seed <= 20; seed++)
        {
            var simulator = new Simulator(seed);
            simulator.Run(async () =>
            {
                var host = new SimHost(simulator, "host");
                await LifeAsync(host, async self =>
                {
                    AgentOperations agent = await OperationsAsync(host, self);
                    await AskAsync(agent, 1);
                    host.Disk.Faults.FlushFailure = 1;
                    Assert.NotNull((await AskAsync(agent, 2)).Error);
                    host.Disk.Faults.Clear();
                });
                await LifeAsync(host, async self => await AskAsync(await OperationsAsync(host, self), 3));
                host.PowerLoss();
                await simulator.DelayAsync(TimeSpan.FromSeconds(1));
                host.Boot();
                await LifeAsync(host, async self => Assert.NotNull((await AskAsync(await OperationsAsync(host, self), 3)).Body));
            });
        }
    }

    private static int _operations;

    /// <summary>delete, open, write, flush, rename, flush of the folder.</summary>
    private static void KillAtTheLastFlush(SimHost host, SimProcess self, ref int operations, long number)
    {
        if (++operations == 6)
        {
            self.Kill();
            host.Disk.OnOperation = null;
        }
    }

    private static async Task<string?> LoadAsync(SimHost host, SimProcess self) =>
        (await RunFiles.ReplicaDocument.LoadAsync(host.Disk.OpenStore(self, ""), RunFiles.Replica, default))?.VmName;

    private static ReplicaSpec Spec(string name) =>
        new(default, default, name, name, Guid.Empty, new(1, 7), "/images", TimeSpan.FromHours(1));

    private static async Task LifeAsync(SimHost host, Func<SimProcess, Task> body)
    {
        SimProcess process = host.Start("agent", body);
        await process.Ended;
        Assert.Null(process.Failure);
    }

    private static void RunAgent(Func<SimHost, SimProcess, Task> body)
    {
        var simulator = new Simulator(1);
        simulator.Run(async () =>
        {
            var host = new SimHost(simulator, "host");
            await LifeAsync(host, self => body(host, self));
        });
    }

    private static async Task<AgentOperations> OperationsAsync(SimHost host, SimProcess self)
    {
        AgentOperations agent = new(await OutcomeLog.OpenAsync(host.Disk.OpenStore(self, ""), NullLogger.Instance, default), NullLogger.Instance);
        agent.On(AgentMethods.Commit, (_, _, _) => Task.FromResult(new Committed(["image"], null)));
        return agent;
    }

    private static Task<ResponseMessage> AskAsync(AgentOperations agent, byte operation) => agent.AnswerAsync(
        new RequestMessage(
            operation,
            new OperationId(new Guid(operation, 0, 0, new byte[8])),
            AgentMethods.Commit.Name,
            JsonSerializer.SerializeToElement(new CommitRequest(default, default), AgentMethods.Commit.Request)),
        _ => { },
        default);
}
