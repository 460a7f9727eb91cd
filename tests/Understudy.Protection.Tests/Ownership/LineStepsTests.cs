using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;

namespace Understudy.Protection.Tests.Ownership;

public sealed class LineStepsTests
{
    public static TheoryData<LineId> Known =>
    [
        new LineId(1, 5), new LineId(2, 0), new LineId(LineSteps.ClaimStep - 1, 7), new LineId(LineSteps.ClaimStep, 7), new LineId(LineSteps.ClaimStep + 3, 7),
    ];

    [Theory]
    [MemberData(nameof(Known))]
    public void A_claim_is_newer_than_all_that_followed_what_it_knew_of_whatever_the_random_parts(LineId known)
    {
        LineId claim = LineSteps.Claim(known, UInt128.Zero);
        LineId minted = known;
        for (int steps = 0; steps < 1000 && minted.Counter % LineSteps.ClaimStep != LineSteps.ClaimStep - 1; steps++)
        {
            minted = LineSteps.Next(minted, UInt128.MaxValue);
            Assert.True(claim.IsNewerThan(minted), $"{claim} loses against {minted}");
        }

        Assert.True(claim.IsNewerThan(known));
    }

    [Fact]
    public void A_claim_after_an_accept_that_was_not_heard_stands_in_both_orders_of_the_random_parts()
    {
        foreach ((UInt128 accepted, UInt128 claimed) in ((UInt128, UInt128)[])[(0, UInt128.MaxValue), (UInt128.MaxValue, 0)])
        {
            LineId first = new(1, 5);
            TransferId transfer = new(Guid.AllBitsSet);
            OwnershipRecord source = Begin(first, new OwnershipState.Offered(transfer, Guid.Empty, new RecoveryPointId(first, 9)));
            OwnershipRecord target = Take(Begin(first, new OwnershipState.Elsewhere()), new OwnershipMessage.Accept(
                transfer, LineSteps.Next(first, accepted), new RecoveryPointId(first, 9), Succeeds: first));
            source = Take(source, new OwnershipMessage.Claim(LineSteps.Claim(source.Line, claimed), new RecoveryPointId(first, 9)));
            target = Take(target, new OwnershipMessage.Learn(source.Line, default, default));
            Assert.IsType<OwnershipState.Here>(source.State);
            Assert.Equal(source.Line, target.Line);
            Assert.IsType<OwnershipState.Elsewhere>(target.State);
        }
    }

    private static OwnershipRecord Begin(LineId line, OwnershipState state) =>
        OwnershipRules.Begin(new VmId(Guid.Empty), "web1", new ReplicaId(Guid.Empty), Guid.Empty, line, [], state, DateTimeOffset.UnixEpoch);

    private static OwnershipRecord Take(OwnershipRecord record, OwnershipMessage message) =>
        Assert.IsType<OwnershipOutcome.Changed>(OwnershipRules.Apply(record, message, "boot-1")).Next;
}
