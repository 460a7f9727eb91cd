using System.Text;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;

namespace Understudy.Protection.Tests.Ownership;

/// <summary>Every state meets every message. The table is the one of docs/protocols/ownership.md.</summary>
public sealed class OwnershipRulesTests
{
    private const string Boot = "boot-2";
    private static readonly DateTimeOffset _at = new(2026, 12, 1, 8, 0, 0, TimeSpan.Zero);
    private static readonly LineId _l2 = new(2, 5);
    private static readonly LineId _l3 = new(3, 5);
    private static readonly LineId _l4 = new(4, 5);
    private static readonly RecoveryPointId _parent = new(_l2, 9);
    private static readonly TransferId _mine = new(new Guid(1, 0, 0, new byte[8]));
    private static readonly TransferId _other = new(new Guid(2, 0, 0, new byte[8]));
    private static readonly Guid _peer = new(9, 0, 0, new byte[8]);

    /// <summary>The newest line known is 3, but where an offer is of line 2.</summary>
    private static readonly (string Name, OwnershipRecord Record)[] _states =
    [
        ("here", Record(_l3, new OwnershipState.Here(Boot))),
        ("fenced", Record(_l3, new OwnershipState.Here(Boot, new Fence("planned failover", _at)))),
        ("unsure", Record(_l3, new OwnershipState.Here("boot-1"))),
        ("took", Record(_l3, new OwnershipState.Here(Boot)) with { Accepted = _mine }),
        ("offered", Record(_l2, new OwnershipState.Offered(_mine, _peer, _parent))),
        ("returned", Record(_l3, new OwnershipState.Offered(_mine, _peer, _parent))),
        ("elsewhere", Record(_l3, new OwnershipState.Elsewhere())),
        ("refused", Record(_l3, new OwnershipState.Elsewhere()) with { Refused = [_mine] }),
        ("deposed", Record(_l3, new OwnershipState.Elsewhere(new Deposition(_l2, _at, _at)))),
    ];

    private static readonly (string Name, OwnershipMessage Message)[] _messages =
    [
        ("offer a point of 2", new OwnershipMessage.Offer(_mine, _peer, _parent, Minted: null)),
        ("offer a point of 3", new OwnershipMessage.Offer(_mine, _peer, new RecoveryPointId(_l3, 12), Minted: null)),
        ("another offer", new OwnershipMessage.Offer(_other, _peer, new RecoveryPointId(_l3, 12), Minted: null)),
        ("offer with line 4", new OwnershipMessage.Offer(_mine, _peer, _parent, Minted: _l4)),
        ("offer with line 3", new OwnershipMessage.Offer(_mine, _peer, _parent, Minted: _l3)),
        ("accept 4 after 3", new OwnershipMessage.Accept(_mine, _l4, _parent, Succeeds: _l3)),
        ("accept 4 after 2", new OwnershipMessage.Accept(_mine, _l4, _parent, Succeeds: _l2)),
        ("accept minted 4", new OwnershipMessage.Accept(_mine, _l4, _parent, Succeeds: null)),
        ("accept minted 3", new OwnershipMessage.Accept(_mine, _l3, _parent, Succeeds: null)),
        ("refuse", new OwnershipMessage.Refuse(_mine)),
        ("handed over as 3", new OwnershipMessage.HandedOver(_mine, _l3)),
        ("handed over as 4", new OwnershipMessage.HandedOver(_mine, _l4)),
        ("another handed over", new OwnershipMessage.HandedOver(_other, _l4)),
        ("take back", new OwnershipMessage.TakeBack(_mine)),
        ("take another back", new OwnershipMessage.TakeBack(_other)),
        ("learn of 2", new OwnershipMessage.Learn(_l2, _at, _at)),
        ("learn of 3", new OwnershipMessage.Learn(_l3, _at, _at)),
        ("learn of 4", new OwnershipMessage.Learn(_l4, _at, _at)),
        ("claim 3", new OwnershipMessage.Claim(_l3, _parent)),
        ("claim 4", new OwnershipMessage.Claim(_l4, _parent)),
        ("renew as 3", new OwnershipMessage.Renew(_l3, _parent)),
        ("renew as 4", new OwnershipMessage.Renew(_l4, _parent)),
        ("close", new OwnershipMessage.Close("maintenance", _at)),
        ("reopen", new OwnershipMessage.Reopen()),
        ("validate", new OwnershipMessage.Validate()),
    ];

    [Fact]
    public void Every_state_takes_every_message_as_the_page_says()
    {
        StringBuilder table = new();
        foreach ((string message, OwnershipMessage given) in _messages)
        {
            table.Append("| ").Append(message);
            foreach ((_, OwnershipRecord record) in _states)
            {
                table.Append(" | ").Append(Words(record, OwnershipRules.Apply(record, given, Boot)));
            }

            table.Append(" |\n");
        }

        Assert.Contains("| message | " + string.Join(" | ", _states.Select(state => state.Name)) + " |\n", Page(), StringComparison.Ordinal);
        string rows = table.ToString();
        Assert.True(Page().Contains(rows, StringComparison.Ordinal), $"docs/protocols/ownership.md has another table than:\n{rows}");
    }

    [Fact]
    public void Every_message_is_in_the_table() => Assert.Equal(
        typeof(OwnershipMessage).GetNestedTypes().Select(type => type.Name).Order(),
        _messages.Select(message => message.Message.GetType().Name).Distinct().Order());

    [Fact]
    public void Whatever_is_given_twice_does_nothing_the_second_time()
    {
        foreach ((_, OwnershipRecord record) in _states)
        {
            foreach ((string name, OwnershipMessage given) in _messages)
            {
                if (OwnershipRules.Apply(record, given, Boot) is OwnershipOutcome.Changed changed)
                {
                    Assert.True(OwnershipRules.Apply(changed.Next, given, Boot) is OwnershipOutcome.Unchanged, name);
                }
            }
        }
    }

    [Fact]
    public void No_line_is_replaced_by_an_older_one()
    {
        foreach ((_, OwnershipRecord record) in _states)
        {
            foreach ((string name, OwnershipMessage given) in _messages)
            {
                if (OwnershipRules.Apply(record, given, Boot) is OwnershipOutcome.Changed changed)
                {
                    Assert.False(record.Line.IsNewerThan(changed.Next.Line), name);
                }
            }
        }
    }

    [Fact]
    public void Two_lines_of_one_counter_have_one_order()
    {
        OwnershipRecord record = Record(new LineId(3, 7), new OwnershipState.Here(Boot));
        Assert.IsType<OwnershipOutcome.Unchanged>(OwnershipRules.Apply(record, new OwnershipMessage.Learn(new LineId(3, 6), _at, _at), Boot));
        Assert.IsType<OwnershipOutcome.Changed>(OwnershipRules.Apply(record, new OwnershipMessage.Learn(new LineId(3, 8), _at, _at), Boot));
    }

    [Fact]
    public void So_many_refusals_of_one_line_and_no_more()
    {
        OwnershipRecord record = Record(_l3, new OwnershipState.Elsewhere());
        for (int i = 0; i < OwnershipRules.MostRefused; i++)
        {
            record = Assert.IsType<OwnershipOutcome.Changed>(
                OwnershipRules.Apply(record, new OwnershipMessage.Refuse(new TransferId(new Guid(i, 1, 0, new byte[8]))), Boot)).Next;
        }

        Assert.IsType<OwnershipOutcome.Refused>(OwnershipRules.Apply(record, new OwnershipMessage.Refuse(_mine), Boot));
    }

    private static OwnershipRecord Record(LineId line, OwnershipState state) =>
        OwnershipRules.Begin(new VmId(_peer), "web1", new ReplicaId(_peer), _peer, line, ["/pool/web1.qcow2"], state, _at);

    private static string Words(OwnershipRecord before, OwnershipOutcome outcome) => outcome switch
    {
        OwnershipOutcome.Unchanged => "=",
        OwnershipOutcome.Refused refused => $"no: {refused.Code}",
        OwnershipOutcome.Changed { Next: { } next } when next.Refused.Count > before.Refused.Count => "**notes it**",
        OwnershipOutcome.Changed { Next: { } next } => $"**{StateOf(next)} {next.Line.Counter}**",
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static string StateOf(OwnershipRecord record) => record.State switch
    {
        OwnershipState.Here { Fence: not null } => "fenced",
        OwnershipState.Here => "here",
        OwnershipState.Offered { Parent: var parent } => parent.Line == record.Line ? "offered" : "returned",
        OwnershipState.Elsewhere { Deposed: not null } => "deposed",
        OwnershipState.Elsewhere => "elsewhere",
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static string Page()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Understudy.slnx")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("not inside the repository");
        }

        return File.ReadAllText(Path.Combine(folder, "docs", "protocols", "ownership.md"));
    }
}
