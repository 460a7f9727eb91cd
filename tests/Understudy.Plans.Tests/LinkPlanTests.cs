using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Plans.Tests;

/// <summary>How a choice of which site listens comes into force, from every state that two agents can be in (REG-3).</summary>
public sealed class LinkPlanTests
{
    private static readonly SiteId Berlin = new(Guid.NewGuid());
    private static readonly SiteId Munich = new(Guid.NewGuid());
    private static readonly SiteId Paris = new(Guid.NewGuid());

    public static TheoryData<string> Choices => ["default", "source", "target"];

    [Theory]
    [MemberData(nameof(Choices))]
    public void Every_state_in_which_somebody_can_dial_comes_to_the_choice_without_one_in_which_nobody_can(string choice)
    {
        SiteLink[] links = choice switch
        {
            "source" => [new SiteLink(Berlin, Munich, Berlin)],
            "target" => [new SiteLink(Berlin, Munich, Munich)],
            _ => [],
        };
        int states = 0;
        foreach (State begin in State.All.Where(state => state.CanConnect))
        {
            states++;
            State now = begin;
            for (int step = 0; LinkPlan.Next(now.Hosts, [now.Vm], links) is [var order, ..]; step++)
            {
                Assert.True(step < 8, $"{begin} does not come to an end");
                now = now.After(order);
                Assert.True(now.CanConnect, $"{begin}: after {order} nobody can dial");
            }

            Assert.Equal(choice == "source", now.TargetDials);
            Assert.Equal(choice != "source", now.SourceDials);
            Assert.Equal((choice != "target", choice != "source"), (now.SourceListens, now.TargetListens));
        }

        Assert.Equal(7, states); // of 16: who can dial has somebody to answer
    }

    [Theory]
    [MemberData(nameof(Choices))]
    public void Orders_that_reach_only_one_side_leave_a_way(string choice)
    {
        SiteLink[] links = choice == "default" ? [] : [new SiteLink(Berlin, Munich, choice == "source" ? Berlin : Munich)];
        foreach (State begin in State.All.Where(state => state.CanConnect))
        {
            foreach (bool sourceIsAway in (bool[])[true, false])
            {
                State now = begin;
                for (int step = 0; step < 8; step++)
                {
                    LinkOrder? order = LinkPlan.Next(now.Hosts, [now.Vm], links).FirstOrDefault(candidate => (candidate.To.Site == Berlin) != sourceIsAway);
                    now = order is null ? now : now.After(order);
                    Assert.True(now.CanConnect, $"{begin}: after {order} nobody can dial");
                }
            }
        }
    }

    [Fact]
    public void Port_of_a_side_that_has_not_said_who_dials_stays_open()
    {
        State state = new(SourceDials: true, TargetDials: false, SourceListens: true, TargetListens: true);
        LinkedVm silent = state.Vm with { AtSource = null };
        Assert.DoesNotContain(LinkPlan.Next(state.Hosts, [silent], [new SiteLink(Berlin, Munich, Berlin)]), order => order is LinkOrder.Port { Listens: false });
        Assert.DoesNotContain(LinkPlan.Next(state.Hosts, [silent], [new SiteLink(Berlin, Munich, Berlin)]), order => order is not LinkOrder.Port);
    }

    [Fact]
    public void Address_that_has_changed_is_told_to_whoever_dials_it()
    {
        State state = new(SourceDials: true, TargetDials: false, SourceListens: true, TargetListens: true);
        LinkedVm moved = state.Vm with { Target = state.Target with { Endpoint = "elsewhere:7443" } };
        Assert.Equal([new LinkOrder.AtSource(moved.Source, moved, TargetDials: false)], LinkPlan.Next([moved.Source, moved.Target], [moved], []));

        State called = new(SourceDials: false, TargetDials: true, SourceListens: true, TargetListens: false);
        LinkedVm other = called.Vm with { Source = called.Source with { Endpoint = "elsewhere:7443" } };
        Assert.Equal(
            [new LinkOrder.AtTarget(other.Target, other, "elsewhere:7443")],
            LinkPlan.Next([other.Source, other.Target], [other], [new SiteLink(Berlin, Munich, Berlin)]));
    }

    [Fact]
    public void Site_listens_unless_every_other_one_with_hosts_does_it_for_it()
    {
        LinkedHost[] two = [Host("b", Berlin), Host("m", Munich)];
        LinkedHost[] three = [.. two, Host("p", Paris)];
        SiteLink munich = new(Berlin, Munich, Munich);
        Assert.True(LinkRules.Listens(Berlin, [two[0]], [munich]));
        Assert.False(LinkRules.Listens(Berlin, two, [munich]));
        Assert.True(LinkRules.Listens(Munich, two, [munich]));
        Assert.True(LinkRules.Listens(Berlin, three, [munich]));
        Assert.False(LinkRules.Listens(Berlin, three, [munich, new SiteLink(Paris, Berlin, Paris)]));
        Assert.True(LinkRules.Listens(Berlin, three, [munich, new SiteLink(Paris, Berlin, Berlin)]));
    }

    [Fact]
    public void Who_dials_does_not_depend_on_the_order_in_which_the_sites_were_named()
    {
        foreach (SiteLink link in (SiteLink[])[new(Berlin, Munich, Berlin), new(Munich, Berlin, Berlin)])
        {
            Assert.True(LinkRules.TargetDials(source: Berlin, target: Munich, [link]));
            Assert.False(LinkRules.TargetDials(source: Munich, target: Berlin, [link]));
            Assert.False(LinkRules.TargetDials(source: Berlin, target: Paris, [link]));
        }
    }

    [Theory]
    [InlineData("localhost:7443")]
    [InlineData("127.0.0.1:7443")]
    [InlineData("[::1]:7443")]
    [InlineData("0.0.0.0:7443")]
    [InlineData("[::]:7443")]
    [InlineData("berlin-1")]
    [InlineData("berlin-1:0")]
    [InlineData(":7443")]
    public void Address_that_is_good_nowhere_else_is_noticed(string endpoint) => Assert.NotNull(LinkRules.WhyUnreachable(endpoint));

    [Theory]
    [InlineData("berlin-1:7443")]
    [InlineData("10.0.0.7:443")]
    [InlineData("[fd00::7]:7443")]
    public void Address_that_others_may_reach_is_taken(string endpoint) => Assert.Null(LinkRules.WhyUnreachable(endpoint));

    [Fact]
    public void What_is_outstanding_names_the_host_and_whether_it_is_away()
    {
        State state = new(SourceDials: true, TargetDials: false, SourceListens: true, TargetListens: true);
        SiteLink[] links = [new(Berlin, Munich, Berlin)];
        Assert.Equal(
            ["web1: m has still to be told, and is not connected", "web1: b has still to be told", "m has still to close its port, and is not connected"],
            LinkPlan.Outstanding(Berlin, Munich, state.Hosts, [state.Vm], links, new HashSet<HostId> { state.Target.Id }));
        Assert.Empty(LinkPlan.Outstanding(Berlin, Munich, state.Hosts, [state.Vm], [], new HashSet<HostId>()));
    }

    private static LinkedHost Host(string name, SiteId site) => new(new HostId(new Guid(name[0], 0, 0, new byte[8])), name, site, $"{name}:7443", Listens: true);

    /// <summary>Two agents with one VM between them.</summary>
    private sealed record State(bool SourceDials, bool TargetDials, bool SourceListens, bool TargetListens)
    {
        public static IEnumerable<State> All =>
            from bits in Enumerable.Range(0, 16)
            select new State((bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0);

        public LinkedHost Source => Host("b", Berlin) with { Listens = SourceListens };

        public LinkedHost Target => Host("m", Munich) with { Listens = TargetListens };

        public LinkedHost[] Hosts => [Source, Target];

        public bool CanConnect => (SourceDials && TargetListens) || (TargetDials && SourceListens);

        public LinkedVm Vm => new(
            new VmId(new Guid(1, 0, 0, new byte[8])), new ReplicaId(new Guid(2, 0, 0, new byte[8])), "web1", Source, Target,
            new LinkInfo(SourceDials ? Target.Endpoint : null), new LinkInfo(TargetDials ? Source.Endpoint : null));

        public State After(LinkOrder order) => order switch
        {
            LinkOrder.Port port when port.To.Site == Berlin => this with { SourceListens = port.Listens },
            LinkOrder.Port port => this with { TargetListens = port.Listens },
            LinkOrder.AtSource told => this with { SourceDials = !told.TargetDials },
            LinkOrder.AtTarget told => this with { TargetDials = told.SourceEndpoint is not null },
            _ => throw new InvalidOperationException(order.ToString()),
        };
    }
}
