using System.Net.WebSockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Testing.Devices;

namespace Understudy.Vault.Tests.Control;

public sealed class ControlConnectionTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_question_is_answered_and_progress_arrives_before_the_answer()
    {
        await using AgentOperations operations = await OperationsAsync();
        operations.On(AgentMethods.Commit, (_, context, _) =>
        {
            context.Report(0.5, "half");
            return Task.FromResult(new Committed(["image"], null));
        });
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(operations);
        List<string> progress = [];

        AgentReply<Committed> reply = await pair.Vault.InvokeAsync(
            AgentMethods.Commit, new OperationId(Guid.NewGuid()), new CommitRequest(default, default), message => progress.Add(message.Text), Ct);

        Assert.Equal(["image"], Assert.IsType<AgentReply<Committed>.Answered>(reply).Value.Images);
        Assert.Equal(["half"], progress);
    }

    [Fact]
    public async Task A_method_the_agent_does_not_know_is_refused_by_name()
    {
        await using AgentOperations operations = await OperationsAsync();
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(operations);

        AgentReply<PointsAnswer> reply = await pair.Vault.InvokeAsync(AgentMethods.PointsList, null, new PointsRequest(default), null, Ct);

        AgentError error = Assert.IsType<AgentReply<PointsAnswer>.Refused>(reply).Error;
        Assert.Equal("agent-too-old", error.Error.Code);
        Assert.Contains("points.list", error.Error.What, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_asker_whose_connection_ends_knows_that_it_knows_nothing()
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(null);
        Task<AgentReply<PointsAnswer>> asked = pair.Vault.InvokeAsync(AgentMethods.PointsList, null, new PointsRequest(default), null, Ct);
        pair.AgentSocket.Abort();

        Assert.IsType<AgentReply<PointsAnswer>.Lost>(await asked);
        Assert.IsType<AgentReply<PointsAnswer>.Lost>(await pair.Vault.InvokeAsync(AgentMethods.PointsList, null, new PointsRequest(default), null, Ct));
    }

    [Theory]
    [InlineData("not JSON")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("""{ "type": "surprise" }""")]
    [InlineData("""{ "id": 1 }""")]
    [InlineData("""{ "type": "response", "id": "one" }""")]
    [InlineData("""{ "type": "ping", "sentAt": "yesterday" }""")]
    public async Task Nonsense_ends_the_connection(string text)
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(null);
        await pair.AgentSocket.SendAsync(Encoding.UTF8.GetBytes(text).AsMemory(), WebSocketMessageType.Text, true, Ct);

        Assert.Contains("cannot be read", await pair.VaultRuns, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_without_end_is_cut_at_the_limit()
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(null);
        byte[] part = new byte[1 << 20];
        Array.Fill(part, (byte)' ');
        try
        {
            for (int sent = 0; sent < ControlLimits.MaxMessageBytes + (4 << 20); sent += part.Length)
            {
                await pair.AgentSocket.SendAsync(part.AsMemory(), WebSocketMessageType.Text, false, Ct);
            }
        }
        catch (WebSocketException)
        {
            // The other side has had enough, which is the point.
        }

        Assert.Contains("more than", await pair.VaultRuns, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Silence_ends_the_connection()
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(null);
        for (int tick = 0; tick < 4; tick++)
        {
            pair.Time.Advance(ControlLimits.PingInterval);
        }

        Assert.Contains("nothing was heard", await pair.VaultRuns, StringComparison.Ordinal);
    }

    /// <summary>A file on a share whose server is gone: no token ends it, and in one of the two cases not even the call returns.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_answer_that_hangs_keeps_no_connection_from_ending(bool blocks)
    {
        TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<HostFactsAnswer> never = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using ManualResetEventSlim stuck = new();
        await using AgentOperations operations = await OperationsAsync();
        operations.On(AgentMethods.HostFacts, (_, _, _) =>
        {
            begun.TrySetResult();
            if (blocks)
            {
                stuck.Wait(Ct);
            }

            return never.Task;
        });
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(operations);
        Task<AgentReply<HostFactsAnswer>> asked = pair.Vault.InvokeAsync(AgentMethods.HostFacts, null, Nothing.Value, null, Ct);
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(30), Ct);
        pair.AgentSocket.Abort();
        using (PeriodicTimer tick = new(TimeSpan.FromMilliseconds(20)))
        {
            for (int ticks = 0; !pair.AgentRuns.IsCompleted && ticks < 1500; ticks++) // where nobody reads any more silence ends it; then the limit
            {
                pair.Time.Advance(TimeSpan.FromSeconds(1));
                await tick.WaitForNextTickAsync(Ct);
            }
        }

        bool ended = pair.AgentRuns.IsCompleted;
        stuck.Set();
        never.TrySetException(new InvalidOperationException("the share is back"));
        Assert.True(ended);
        Assert.IsType<AgentReply<HostFactsAnswer>.Lost>(await asked);
    }

    [Fact]
    public async Task Answers_to_nobody_and_unknown_news_are_skipped()
    {
        await using ConnectionPair pair = await ConnectionPair.ConnectAsync(null);
        foreach (string text in new[]
        {
            """{ "type": "response", "id": 77, "body": {} }""",
            """{ "type": "push", "kind": "horoscope", "body": { "sign": "fish" } }""",
            """{ "type": "cancel", "operation": "00000000-0000-0000-0000-000000000001" }""",
            """{ "type": "ping", "sentAt": "2026-01-01T00:00:00Z", "more": true }""",
        })
        {
            await pair.AgentSocket.SendAsync(Encoding.UTF8.GetBytes(text).AsMemory(), WebSocketMessageType.Text, true, Ct);
        }

        byte[] buffer = new byte[4096];
        string heard = "";
        while (!heard.Contains("pong", StringComparison.Ordinal)) // the answer to the last one: all before it was taken
        {
            ValueWebSocketReceiveResult part = await pair.AgentSocket.ReceiveAsync(buffer.AsMemory(), Ct);
            heard += Encoding.UTF8.GetString(buffer, 0, part.Count);
        }

        Assert.False(pair.VaultRuns.IsCompleted);
    }

    private static async Task<AgentOperations> OperationsAsync() =>
        new(await OutcomeLog.OpenAsync(new MemoryFileStore(), NullLogger.Instance, Ct), NullLogger.Instance);
}
