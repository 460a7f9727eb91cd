using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Testing.Devices;

namespace Understudy.Vault.Tests.Control;

/// <summary>An operation runs once, whatever happens to connections and processes around it.</summary>
public sealed class AgentOperationsTests
{
    private readonly MemoryFileStore _store = new();
    private readonly OperationId _operation = new(Guid.NewGuid());
    private int _runs;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Asked_twice_it_runs_once_and_answers_twice()
    {
        await using AgentOperations agent = await StartAsync(() => Task.CompletedTask);

        ResponseMessage first = await AskAsync(agent);
        ResponseMessage second = await AskAsync(agent);

        Assert.Equal(1, _runs);
        Assert.Equal(first.Body?.GetRawText(), second.Body?.GetRawText());
    }

    [Fact]
    public async Task Asked_again_while_it_runs_the_asker_joins_it()
    {
        TaskCompletionSource release = new();
        await using AgentOperations agent = await StartAsync(() => release.Task);
        Task<ResponseMessage> first = AskAsync(agent);
        Task<ResponseMessage> second = AskAsync(agent);
        release.SetResult();

        Assert.NotNull((await first).Body);
        Assert.NotNull((await second).Body);
        Assert.Equal(1, _runs);
    }

    [Fact]
    public async Task Asked_again_after_a_restart_the_first_outcome_is_the_answer()
    {
        await using (AgentOperations agent = await StartAsync(() => throw new ErrorException(Errors.NameTaken("beta", "web1", "web1-2"))))
        {
            Assert.Equal("name-taken", (await AskAsync(agent)).Error?.Error.Code);
        }

        await using AgentOperations restarted = await StartAsync(() => Task.CompletedTask);
        Assert.Equal("name-taken", (await AskAsync(restarted)).Error?.Error.Code);
        Assert.Equal(1, _runs);
    }

    [Fact]
    public async Task Stopped_in_the_middle_it_has_no_outcome_and_runs_again()
    {
        TaskCompletionSource never = new();
        AgentOperations agent = await StartAsync(() => never.Task);
        Task<ResponseMessage> asked = AskAsync(agent);
        await agent.DisposeAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);

        await using AgentOperations restarted = await StartAsync(() => Task.CompletedTask);
        Assert.NotNull((await AskAsync(restarted)).Body);
        Assert.Equal(2, _runs);
    }

    [Fact]
    public async Task A_lost_connection_ends_the_waiting_and_not_the_operation()
    {
        TaskCompletionSource release = new();
        await using AgentOperations agent = await StartAsync(() => release.Task);
        using CancellationTokenSource connection = new();
        Task<ResponseMessage> asked = AskAsync(agent, connection.Token);
        await connection.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        release.SetResult();

        Assert.NotNull((await AskAsync(agent)).Body);
        Assert.Equal(1, _runs);
    }

    [Fact]
    public async Task Cancelled_it_answers_so_and_keeps_that_answer()
    {
        TaskCompletionSource never = new();
        await using AgentOperations agent = await StartAsync(() => never.Task);
        Task<ResponseMessage> asked = AskAsync(agent);
        agent.Cancel(_operation);

        Assert.Equal("cancelled", (await asked).Error?.Error.Code);
        Assert.Equal("cancelled", (await AskAsync(agent)).Error?.Error.Code);
    }

    [Fact]
    public async Task A_fault_of_the_host_travels_with_its_class_and_remedy()
    {
        await using AgentOperations agent = await StartAsync(() => throw new StorageException(FaultKind.Full, "/replicas", "no space left", "Free space."));

        AgentError error = (await AskAsync(agent)).Error!; // it threw

        Assert.Equal(("no-space", "Free space.", FaultClass.NeedsOperator), (error.Error.Code, error.Error.Next, error.Class));
    }

    [Fact]
    public async Task A_log_cut_at_any_byte_keeps_the_whole_lines_and_takes_new_ones()
    {
        OperationId second = new(Guid.NewGuid());
        await using (OutcomeLog log = await OutcomeLog.OpenAsync(_store, NullLogger.Instance, Ct))
        {
            await log.KeepAsync(_operation, Outcome("first"), Ct);
            await log.KeepAsync(second, Outcome("second"), Ct);
        }

        byte[] whole = await ReadAsync();
        int firstLine = Array.IndexOf(whole, (byte)'\n') + 1;
        for (int length = 0; length <= whole.Length; length++)
        {
            MemoryFileStore cut = new();
            await WriteAsync(cut, whole.AsMemory(0, length));
            await using OutcomeLog log = await OutcomeLog.OpenAsync(cut, NullLogger.Instance, Ct);
            Assert.Equal(length >= firstLine, log.Find(_operation) is not null);
            Assert.Equal(length == whole.Length, log.Find(second) is not null);
            await log.KeepAsync(second, Outcome("second"), Ct);
            Assert.NotNull(log.Find(second));
        }
    }

    [Fact]
    public async Task Damage_before_the_last_line_is_not_taken_for_a_crash()
    {
        await using (OutcomeLog log = await OutcomeLog.OpenAsync(_store, NullLogger.Instance, Ct))
        {
            await log.KeepAsync(_operation, Outcome("first"), Ct);
            await log.KeepAsync(new OperationId(Guid.NewGuid()), Outcome("second"), Ct);
        }

        byte[] content = await ReadAsync();
        content[20] ^= 1;
        MemoryFileStore damaged = new();
        await WriteAsync(damaged, content);

        StorageException fault = await Assert.ThrowsAsync<StorageException>(async () => await OutcomeLog.OpenAsync(damaged, NullLogger.Instance, Ct));
        Assert.Equal(FaultKind.Corrupt, fault.Kind);
    }

    [Fact]
    public async Task The_log_keeps_the_newest_and_does_not_grow_for_ever()
    {
        List<OperationId> operations = [.. Enumerable.Range(0, (2 * OutcomeLog.Kept) + 10).Select(_ => new OperationId(Guid.NewGuid()))];
        await using (OutcomeLog log = await OutcomeLog.OpenAsync(_store, NullLogger.Instance, Ct))
        {
            foreach (OperationId operation in operations)
            {
                await log.KeepAsync(operation, Outcome("x"), Ct);
            }
        }

        await using OutcomeLog reopened = await OutcomeLog.OpenAsync(_store, NullLogger.Instance, Ct);
        Assert.All(operations[^OutcomeLog.Kept..], operation => Assert.NotNull(reopened.Find(operation)));
        Assert.All(operations[..^OutcomeLog.Kept], operation => Assert.Null(reopened.Find(operation)));
        Assert.Equal(OutcomeLog.Kept + 10, Encoding.UTF8.GetString(await ReadAsync()).Count(character => character == '\n'));
    }

    private async Task<AgentOperations> StartAsync(Func<Task> behaviour)
    {
        AgentOperations agent = new(await OutcomeLog.OpenAsync(_store, NullLogger.Instance, Ct), NullLogger.Instance);
        agent.On(AgentMethods.Commit, async (_, _, stop) =>
        {
            Interlocked.Increment(ref _runs);
            await behaviour().WaitAsync(stop);
            return new Committed(["image"], null);
        });
        return agent;
    }

    private Task<ResponseMessage> AskAsync(AgentOperations agent, CancellationToken connection = default) => agent.AnswerAsync(
        new RequestMessage(1, _operation, "commit", JsonSerializer.SerializeToElement(new CommitRequest(default, default), AgentMethods.Commit.Request)),
        _ => { },
        connection);

    private static Outcome Outcome(string text) => new(JsonSerializer.SerializeToElement(text), null);

    private async Task<byte[]> ReadAsync()
    {
        await using IStoreFile file = await _store.OpenAsync("outcomes.log", FileOpen.Read, Ct);
        byte[] content = new byte[file.LengthBytes];
        await file.ReadAsync(0, content, Ct);
        return content;
    }

    private static async Task WriteAsync(MemoryFileStore store, ReadOnlyMemory<byte> content)
    {
        await using IStoreFile file = await store.OpenAsync("outcomes.log", FileOpen.New, Ct);
        await file.WriteAsync(0, content, Ct);
    }
}
