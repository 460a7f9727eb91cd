using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.CommandLine.Nouns;
using Understudy.Model;
using Understudy.Tests.CommandLine;

namespace Understudy.Tests.Local;

/// <summary>FO-8: the night without the vault, from the command line through the socket to the agent's orders.</summary>
public sealed class LocalCommandTests
{
    [Fact]
    public async Task List_names_what_stands_here_and_why_the_vault_is_away()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        CommandRun run = await world.RunAsync("local", "list");

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("web1-dr", run.Out, StringComparison.Ordinal);
        Assert.Contains("silent", run.Out, StringComparison.Ordinal);
        Assert.Contains("certificate-foreign", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_socket_is_open_for_its_owner_only()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();
        await world.RunAsync("local", "list");

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(world.Socket));
    }

    [Theory]
    [InlineData("web1")]
    [InlineData("web1-dr")]
    public async Task Points_are_listed_oldest_first_by_either_name(string name)
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        CommandRun run = await world.RunAsync("local", "points", name, "--json");

        using JsonDocument answer = JsonDocument.Parse(run.Out);
        Assert.Equal(["1-7:100", "1-7:200"], answer.RootElement.GetProperty("points").EnumerateArray()
            .Select(point => point.GetProperty("id").GetString()!.Replace("00000000000000000000000000000007", "7", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("failover")]
    [InlineData("yes")]
    public async Task A_failover_without_the_word_is_refused_and_the_agent_is_not_asked(string? word)
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        CommandRun run = await world.RunAsync([.. (string[])["local", "failover", "web1", "--yes"], .. word is null ? [] : (string[])["--confirm", word]]);

        Assert.Equal(3, run.ExitCode);
        Assert.Contains("confirmation-wrong", run.Error, StringComparison.Ordinal);
        Assert.Empty(world.Failovers);
    }

    [Fact]
    public async Task A_failover_says_first_what_may_still_be_running()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        Assert.Contains("may still be running", (await world.RunAsync("local", "failover", "web1")).Error, StringComparison.Ordinal);
        world.SourceConnected = true;
        Assert.Contains("Unless the VM is off there", (await world.RunAsync("local", "failover", "web1")).Error, StringComparison.Ordinal);
        CommandRun atOnce = await world.RunAsync("local", "failover", "web1", "--confirm", "FAILOVER");
        Assert.Equal(0, atOnce.ExitCode);
        Assert.Contains("Unless the VM is off there", atOnce.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failover_starts_the_named_point_as_the_vault_ordered_with_the_choices_of_this_run()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        CommandRun run = await world.RunAsync(
            "local", "failover", "web1", "--point", "2026-11-21T10:00:00Z", "--nic", "52:54:00:00:00:02=none", "--confirm", "FAILOVER");

        Assert.Equal(0, run.ExitCode);
        FailoverStartRequest asked = Assert.Single(world.Failovers);
        Assert.Equal(("web1-dr", 100UL), (asked.VmName, asked.Point.Sequence));
        Assert.Null(asked.Transfer);
        Assert.Equal((2, 1L << 30, 14), (asked.Cpus, asked.MemoryBytes, asked.BranchDays));
        Assert.Equal([("52:54:00:00:00:01", "lan"), ("52:54:00:00:00:02", (string?)null)], asked.Nics.Select(nic => (nic.Mac, nic.TargetNetwork)));
    }

    [Fact]
    public async Task A_point_that_is_not_listed_is_never_replaced_by_one_close_by()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        CommandRun run = await world.RunAsync("local", "failover", "web1", "--point", "2026-11-21T10:00:10Z", "--confirm", "FAILOVER");

        Assert.Equal(5, run.ExitCode);
        Assert.Contains("point-unknown", run.Error, StringComparison.Ordinal);
        Assert.Empty(world.Failovers);
    }

    [Fact]
    public async Task With_the_vault_connected_a_failover_is_the_vaults_unless_it_is_said_otherwise()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();
        world.Vault = new VaultConnection(true, ["https://vault:443"], null);

        CommandRun refused = await world.RunAsync("local", "failover", "web1", "--confirm", "FAILOVER");
        CommandRun despite = await world.RunAsync("local", "failover", "web1", "--confirm", "FAILOVER", "--despite-vault");

        Assert.Equal(3, refused.ExitCode);
        Assert.Contains("vault-is-there", refused.Error, StringComparison.Ordinal);
        Assert.Equal(0, despite.ExitCode);
        Assert.Single(world.Failovers);
    }

    [Fact]
    public async Task A_commit_says_on_what_the_VM_stands_or_what_its_last_merge_waits_for()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        CommandRun done = await world.RunAsync("local", "commit", "web1");
        CommandRun waits = await world.RunAsync("local", "commit", "web1");

        Assert.Equal((0, 0), (done.ExitCode, waits.ExitCode));
        Assert.Contains("/images/web1/vda.qcow2", done.Out, StringComparison.Ordinal);
        Assert.Contains("waits, and goes on by itself: branch x", waits.Out, StringComparison.Ordinal);
        Assert.All(world.Commits, asked => Assert.Equal((world.Vm, world.Replica), (asked.Vm, asked.Replica)));
        Assert.Contains(world.News, news => news.Text.Contains("`understudy local commit` was given on this host for web1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_branch_is_deleted_by_its_name_said_twice_and_that_is_told()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();
        await world.RunAsync("local", "cancel", "web1");
        const string name = "cancelled-20261121-100512";

        CommandRun unknown = await world.RunAsync("local", "delete", "web1", "cancelled-1", "--confirm", "cancelled-1");
        CommandRun wrong = await world.RunAsync("local", "delete", "web1", name, "--confirm", "yes");
        Assert.Equal((5, 3), (unknown.ExitCode, wrong.ExitCode));
        Assert.Contains("branch-not-here", unknown.Error, StringComparison.Ordinal);
        Assert.Contains("confirmation-wrong", wrong.Error, StringComparison.Ordinal);
        Assert.Empty(world.Deletions);

        Assert.Equal(0, (await world.RunAsync("local", "delete", "web1", name, "--confirm", name)).ExitCode);
        Assert.Equal(world.Branches.Single().Id, Assert.Single(world.Deletions).Branch);
        Assert.Contains(world.News, news => news.Text.Contains($"gone: branch {name} of web1", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("commit", "web1")]
    [InlineData("delete", "web1", "cancelled-20261121-100512", "--confirm", "cancelled-20261121-100512")]
    public async Task With_the_vault_connected_what_is_final_is_the_vaults_unless_it_is_said_otherwise(params string[] words)
    {
        await using LocalWorld world = await LocalWorld.StartAsync();
        await world.RunAsync("local", "cancel", "web1");
        world.Vault = new VaultConnection(true, ["https://vault:443"], null);

        CommandRun refused = await world.RunAsync(["local", .. words]);

        Assert.Equal(3, refused.ExitCode);
        Assert.Contains("vault-is-there", refused.Error, StringComparison.Ordinal);
        Assert.Empty(world.Commits);
        Assert.Empty(world.Deletions);
        Assert.Equal(0, (await world.RunAsync(["local", .. words, "--despite-vault"])).ExitCode);
        Assert.Equal(1, world.Commits.Count + world.Deletions.Count);
    }

    [Fact]
    public async Task An_agent_that_is_started_anew_before_it_answered_does_it_once_and_answers()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();
        TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        world.BeforeFailoverAnswers = () =>
        {
            begun.TrySetResult();
            return Task.Delay(Timeout.Infinite);
        };
        Task<CommandRun> running = world.RunAsync("local", "failover", "web1", "--confirm", "FAILOVER");
        await begun.Task;
        await world.StopAgentAsync();
        world.BeforeFailoverAnswers = null;
        await world.StartAgentAsync();

        CommandRun run = await running;

        Assert.Equal(0, run.ExitCode);
        Assert.Equal(2, world.Failovers.Count); // Begun twice under one operation: the engine goes on from what it finds.
        Assert.Single(world.Failovers.Select(f => f.Point).Distinct());
    }

    [Fact]
    public async Task A_test_is_started_listed_and_ended_by_its_name()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        await world.RunAsync("local", "test", "web1");
        CommandRun second = await world.RunAsync("local", "test", "web1", "--network", "none");

        Assert.Contains("--complete web1-dr-test-2", second.Out, StringComparison.Ordinal);
        Assert.Equal(["web1-dr-test", "web1-dr-test-2"], world.Tests.Values.Select(t => t.VmName).Order());
        Assert.True(world.Tests.Values.Single(t => t.VmName == "web1-dr-test").Isolated);
        Assert.Equal(0, (await world.RunAsync("local", "test", "web1", "--complete", "web1-dr-test")).ExitCode);
        Assert.Equal("web1-dr-test-2", Assert.Single(world.Tests.Values).VmName);
        Assert.Equal(5, (await world.RunAsync("local", "test", "web1", "--complete", "web1-dr-test")).ExitCode);
    }

    [Fact]
    public async Task An_export_goes_to_the_full_path_of_the_folder()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        await world.RunAsync("local", "export", "web1", "--to", "here", "--format", "qcow2");

        PointExportRequest asked = Assert.Single(world.Exports);
        Assert.Equal((Path.GetFullPath("here"), "qcow2", 200UL), (asked.Folder, asked.Format, asked.Point.Sequence));
    }

    [Fact]
    public async Task Without_an_agent_the_command_fails_and_says_what_still_works()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();
        await world.StopAgentAsync();
        try
        {
            CommandRun run = await world.RunAsync("local", "failover", "web1", "--confirm", "FAILOVER");

            Assert.Equal(1, run.ExitCode);
            Assert.Contains("agent-not-running", run.Error, StringComparison.Ordinal);
            Assert.Contains("point export --replica", run.Error, StringComparison.Ordinal);
        }
        finally
        {
            await world.StartAgentAsync();
        }
    }

    [Fact]
    public async Task A_command_line_of_another_version_is_told_so_by_name()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(world.Socket), TestContext.Current.CancellationToken);
        await using NetworkStream stream = new(socket);
        await stream.WriteAsync(Encoding.ASCII.GetBytes("understudy.control.9\n"), TestContext.Current.CancellationToken);
        using StreamReader reader = new(stream);

        Assert.Equal(ControlLimits.Subprotocol, await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        Assert.Null(await reader.ReadLineAsync(TestContext.Current.CancellationToken)); // The agent closes it.
    }

    [Fact]
    public void Two_replicas_of_one_name_have_to_be_told_apart_by_id()
    {
        LocalReplica one = new("web1", "a", default, false, false, Settings, [], Report());
        LocalReplica two = new("web1", "b", default, false, false, Settings, [], Report());
        LocalState state = new(default, "beta", "berlin", "0.1.0", new VaultConnection(false, [], null), [one, two], []);

        Assert.Equal("vm-ambiguous", Assert.Throws<ErrorException>(() => LocalCommands.Find(state, "web1")).Error.Code);
        Assert.Same(two, LocalCommands.Find(state, two.Report.Replica.ToString()));
    }

    [Fact]
    public async Task A_cancel_offers_the_VM_back_to_its_source_and_keeps_what_ran()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        CommandRun run = await world.RunAsync("local", "cancel", "web1");

        Assert.Equal(0, run.ExitCode);
        FailoverCancelRequest asked = Assert.Single(world.Cancels);
        Assert.True(asked.Start);
        Assert.Equal(14, asked.BranchDays);
        Assert.Contains("kept as branch cancelled-20261121-100512 for 14 days", run.Out, StringComparison.Ordinal);
        Assert.Contains("branch cancelled-20261121-100512:", (await world.RunAsync("local", "points", "web1")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancel_whose_source_is_silent_takes_a_word_because_the_VM_would_run_nowhere()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();
        world.SourceCalls = false;

        CommandRun unsaid = await world.RunAsync("local", "cancel", "web1", "--yes");
        Assert.Equal(3, unsaid.ExitCode);
        Assert.Contains("source-away", unsaid.Error, StringComparison.Ordinal);
        Assert.Empty(world.Cancels);

        Assert.Equal(0, (await world.RunAsync("local", "cancel", "web1", "--confirm", "OFFLINE")).ExitCode);
        Assert.Single(world.Cancels);
    }

    [Fact]
    public async Task A_claim_is_the_sources_where_the_VM_is_sent_from_and_a_failover_where_its_replica_is()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        CommandRun atTarget = await world.RunAsync("local", "claim", "web1", "--confirm", "FAILOVER");
        world.Sources = [new LocalSource("web2", "beta:7443", SourceReport())];
        CommandRun withoutWord = await world.RunAsync("local", "claim", "web2");
        CommandRun atSource = await world.RunAsync("local", "claim", "web2", "--confirm", "FAILOVER");

        Assert.Equal((0, 3, 0), (atTarget.ExitCode, withoutWord.ExitCode, atSource.ExitCode));
        Assert.Equal(200UL, Assert.Single(world.Failovers).Point.Sequence);
        Assert.True(Assert.Single(world.Claims).Start);
        Assert.Contains("two places", withoutWord.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_claim_where_the_VM_was_failed_over_to_says_that_it_counts_and_begins_no_other()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();
        world.Standing = new FailoverInfo(world.Points[0].Id, world.Points[0].CutAt, FailoverKind.Unplanned, world.Points[0].CutAt, "web1-dr");

        CommandRun withoutWord = await world.RunAsync("local", "claim", "web1");
        CommandRun run = await world.RunAsync("local", "claim", "web1", "--confirm", "FAILOVER");
        Assert.Equal((3, 0), (withoutWord.ExitCode, run.ExitCode));
        Assert.Empty(world.Failovers);
        Assert.Equal(world.Replica, Assert.Single(world.Claims).Replica);
        Assert.Contains("web1-dr belongs here", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_replica_whose_pool_is_gone_for_good_is_given_up_with_a_word_and_until_then_the_host_cannot_leave()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();
        ReplicaUnavailable away = new(new VmId(Guid.NewGuid()), new ReplicaId(Guid.NewGuid()), Errors.ReplicaUnavailable("db1", "it is in storage pool tank, and that is not mounted", "Mount it."), "db1");
        world.Unavailable = away;

        CommandRun leaving = await world.RunAsync("agent", "leave", "--confirm", "LEAVE");
        CommandRun open = await world.RunAsync("local", "forget", "web1", "--confirm", "FORGET");
        CommandRun withoutWord = await world.RunAsync("local", "forget", "db1");
        Assert.Empty(world.Forgotten);
        CommandRun given = await world.RunAsync("local", "forget", "db1", "--confirm", "FORGET");

        Assert.Contains("replica-unavailable", leaving.Error, StringComparison.Ordinal);
        Assert.Contains("replica-there", open.Error, StringComparison.Ordinal);
        Assert.Contains("confirmation-wrong", withoutWord.Error, StringComparison.Ordinal);
        Assert.Contains("Its points are given up", withoutWord.Error, StringComparison.Ordinal);
        Assert.Equal((3, 3, 3, 0), (leaving.ExitCode, open.ExitCode, withoutWord.ExitCode, given.ExitCode));
        Assert.Equal(away.Vm, Assert.Single(world.Forgotten).Vm);
        Assert.Contains("understudy vm unprotect db1", given.Out, StringComparison.Ordinal);
    }

    /// <summary>A failover that is cancelled before the vault is back leaves nothing in the reports.</summary>
    [Fact]
    public async Task What_was_done_without_the_vault_is_told_to_it()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();

        await world.RunAsync("local", "failover", "web1");
        await world.RunAsync("local", "points", "web1");
        Assert.Empty(world.News); // refused without the word; and a look
        await world.RunAsync("local", "failover", "web1", "--confirm", "FAILOVER");
        world.Standing = new FailoverInfo(world.Points[0].Id, world.Points[0].CutAt, FailoverKind.Unplanned, world.Points[0].CutAt, "web1-dr");
        await world.RunAsync("local", "cancel", "web1");

        Assert.Equal(["`understudy local failover` was given on this host for web1, and done.", "`understudy local cancel` was given on this host for web1, and done."], world.News.Select(news => news.Text));
        Assert.All(world.News, news => Assert.Equal(("local-command", world.Vm), (news.Kind, news.Vm)));
    }

    /// <summary>What the other side owns, or may own, is not let loose by leaving while the agent runs.</summary>
    [Fact]
    public async Task A_host_that_leaves_keeps_old_VMs_blocked_and_waits_for_one_in_transit()
    {
        await using LocalWorld world = await LocalWorld.StartAsync();
        world.Sources = [new LocalSource("web2", "beta:7443", SourceReport(OwnershipState.Offered))];
        CommandRun inTransit = await world.RunAsync("agent", "leave", "--confirm", "LEAVE");
        Assert.Contains("token-in-transit", inTransit.Error, StringComparison.Ordinal);
        Assert.Empty(world.Unprotects);

        world.Sources =
        [
            new LocalSource("web2", "beta:7443", SourceReport(OwnershipState.Elsewhere)), new LocalSource("web3", "beta:7443", SourceReport(OwnershipState.Here)),
        ];
        CommandRun asked = await world.RunAsync("agent", "leave");
        Assert.Contains("web2: the other side owns it; the old VM stays here, blocked", asked.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await world.RunAsync("agent", "leave", "--confirm", "LEAVE")).ExitCode);
        Assert.Equal([true, false], world.Unprotects.Select(request => request.KeepGuard));
    }

    private static RecoverySettings Settings => new([], null, null, BranchRules.DefaultDays);

    private static SourceReport SourceReport(OwnershipState state = OwnershipState.Here) => new(
        new(Guid.NewGuid()), new(Guid.NewGuid()), SourcePhase.Protected, VmPower.Off, 0, 0, 0, 0, null, null, null, 0, 0, 0, 0, 0, false, null)
    {
        Ownership = new OwnershipInfo(state, LocalWorld.Line, DateTimeOffset.UnixEpoch),
    };

    private static TargetReport Report() => new(
        new(Guid.NewGuid()), new(Guid.NewGuid()), LocalWorld.Line, TargetPhase.Receiving, 0, null, null, 0, 0, [], null);
}
