using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Tests.Target.World;
using Understudy.Testing.Devices;

namespace Understudy.Protection.Tests.Ownership;

/// <summary>The durable record and the guard, through a death between any two of their steps.</summary>
public sealed class OwnershipTokenTests
{
    private const string Boot = "boot-1";
    private static readonly LineId _l1 = new(1, 1);
    private static readonly LineId _l2 = new(2, 1);
    private static readonly TransferId _transfer = new(Guid.Parse("77777777-2222-4333-8444-555555555555"));
    private static readonly VmId _vm = new(Guid.Parse("11111111-2222-4333-8444-555555555555"));
    private static readonly DateTimeOffset _at = new(2026, 12, 1, 8, 0, 0, TimeSpan.Zero);
    private static readonly OwnershipRecord _owned = OwnershipRules.Begin(
        _vm, "web1", new ReplicaId(_vm.Value), _vm.Value, _l1, ["/pool/web1.qcow2"], new OwnershipState.Here(Boot), _at);

    [Fact]
    public async Task A_message_is_durable_and_enforced_when_it_has_been_taken()
    {
        MemoryFileStore store = new();
        MemoryGuard guard = new(Boot);
        OwnershipToken token = await BeginAsync(store, guard);
        Assert.True(guard.MayStart(_vm));

        await token.TakeAsync(new OwnershipMessage.Close("planned failover", _at), default);
        Assert.False(guard.MayStart(_vm));
        OwnershipToken again = (await OwnershipToken.OpenAsync(Services(guard), store, default))!;
        Assert.Equal(token.Record.State, again.Record.State);
    }

    [Fact]
    public async Task A_refusal_changes_nothing()
    {
        MemoryFileStore store = new();
        MemoryGuard guard = new(Boot);
        OwnershipToken token = await BeginAsync(store, guard);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(
            async () => await token.TakeAsync(new OwnershipMessage.Offer(_transfer, _vm.Value, new RecoveryPointId(_l1, 9), null), default));
        Assert.Equal(RefusalCode.NotFenced, refused.Code);
        Assert.Same(_owned, token.Record);
        Assert.True(guard.MayStart(_vm));
    }

    [Fact]
    public async Task Every_state_is_read_as_it_was_written()
    {
        OwnershipState[] states =
        [
            new OwnershipState.Here(Boot),
            new OwnershipState.Here(Boot, new Fence("planned failover", _at)),
            new OwnershipState.Offered(_transfer, _vm.Value, new RecoveryPointId(_l1, 9)),
            new OwnershipState.Elsewhere(),
            new OwnershipState.Elsewhere(new Deposition(_l1, _at, _at)),
        ];
        foreach (OwnershipState state in states)
        {
            MemoryFileStore store = new();
            OwnershipRecord record = _owned with { State = state, Parent = new RecoveryPointId(_l1, 9), Accepted = _transfer, Refused = [_transfer] };
            await OwnershipToken.BeginAsync(Services(new MemoryGuard(Boot)), store, record, default);
            OwnershipRecord read = (await OwnershipToken.OpenAsync(Services(new MemoryGuard(Boot)), store, default))!.Record;
            Assert.Equal(record with { Disks = read.Disks, Refused = read.Refused }, read);
            Assert.Equal(record.Disks, read.Disks);
            Assert.Equal(record.Refused, read.Refused);
        }
    }

    [Fact]
    public void People_can_read_it()
    {
        string text = Encoding.UTF8.GetString(OwnershipFile.Document.Encode(_owned));
        Assert.StartsWith("understudy-ownership 1 ", text, StringComparison.Ordinal);
        Assert.Contains("\"is\": \"here\"", text, StringComparison.Ordinal);
        Assert.Contains("\"line\": \"1-00000000000000000000000000000001\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_member_that_is_not_known_makes_it_unreadable()
    {
        string body = Encoding.UTF8.GetString(OwnershipFile.Document.Encode(_owned));
        body = body[(body.IndexOf('\n', StringComparison.Ordinal) + 1)..].Replace("\"vmName\"", "\"other\": 1, \"vmName\"", StringComparison.Ordinal);
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        string header = $"understudy-ownership 1 {bytes.Length} {Crc32C.Compute(bytes):x8}\n";
        Assert.Null(OwnershipFile.Document.Decode([.. Encoding.ASCII.GetBytes(header), .. bytes], out string defect));
        Assert.Contains("other", defect, StringComparison.Ordinal);
    }

    /// <summary>Death at each call to the store and the guard: what then stands is the old state or the new one, and at no
    /// instant may the VM be started without its record saying so.</summary>
    [Fact]
    public async Task Dying_at_any_call_leaves_a_guard_that_is_never_more_open_than_the_record()
    {
        OwnershipMessage[] walk =
        [
            new OwnershipMessage.Close("planned failover", _at),
            new OwnershipMessage.Offer(_transfer, _vm.Value, new RecoveryPointId(_l1, 9), null),
            new OwnershipMessage.TakeBack(_transfer),
            new OwnershipMessage.Learn(_l2, _at, _at),
            new OwnershipMessage.Accept(_transfer, new LineId(3, 1), new RecoveryPointId(_l1, 9), null),
            new OwnershipMessage.Close("planned failover", _at),
            new OwnershipMessage.Reopen(),
        ];
        foreach (int taken in Enumerable.Range(0, walk.Length))
        {
            int calls = 0;
            while (await DiesAsync(walk, taken, calls))
            {
                calls++;
            }

            Assert.True(calls >= 6, $"message {taken} made only {calls} calls");
        }
    }

    /// <summary>False when the message was taken before so many calls had been made.</summary>
    private static async Task<bool> DiesAsync(OwnershipMessage[] walk, int taken, int calls)
    {
        MemoryFileStore store = new();
        MemoryGuard guard = new(Boot);
        OwnershipToken token = await BeginAsync(store, guard);
        foreach (OwnershipMessage before in walk.Take(taken))
        {
            await token.TakeAsync(before, default);
        }

        Life life = new(calls);
        OwnershipServices mortal = new(Mortal<IStartGuard>.Of(guard, life), Boot, TimeProvider.System, NullLogger.Instance);
        try
        {
            token = (await OwnershipToken.OpenAsync(mortal, Mortal<IFileStore>.Of(store, life), default))!;
            await token.TakeAsync(walk[taken], default);
        }
        catch (AgentDiedException)
        {
            // Looked at below, like one that lived.
        }

        OwnershipRecord durable = (await OwnershipFile.Document.LoadAsync(store, OwnershipFile.Name, default))!;
        Assert.True(!guard.MayStart(_vm) || durable.MayRun(Boot), $"message {taken}, call {calls}: the guard is open before its record");
        OwnershipToken next = (await OwnershipToken.OpenAsync(Services(guard), store, default))!;
        Assert.Equal(next.MayRun, guard.MayStart(_vm));
        await next.TakeAsync(walk[taken], default);
        Assert.Equal(next.MayRun, guard.MayStart(_vm));
        return life.IsOver;
    }

    private static OwnershipServices Services(MemoryGuard guard) => new(guard, Boot, TimeProvider.System, NullLogger.Instance);

    private static ValueTask<OwnershipToken> BeginAsync(IFileStore store, MemoryGuard guard) =>
        OwnershipToken.BeginAsync(Services(guard), store, _owned, default);
}
