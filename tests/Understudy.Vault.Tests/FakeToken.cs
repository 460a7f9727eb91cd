using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection;
using Understudy.Protection.Ownership;
using OwnershipState = Understudy.Protection.Ownership.OwnershipState;

namespace Understudy.Vault.Tests;

/// <summary>One side's ownership record, kept by the product's own rules.</summary>
internal sealed class FakeToken(OwnershipRecord begun)
{
    private readonly Lock _lock = new();

    public string Boot { get; set; } = "boot-1";

    public OwnershipRecord Record { get; private set; } = begun;

    public bool IsFenced => Record.State is OwnershipState.Here { Fence: not null };

    public bool IsHere => Record.State is OwnershipState.Here;

    public void Take(OwnershipMessage message)
    {
        lock (_lock)
        {
            switch (OwnershipRules.Apply(Record, message, Boot))
            {
                case OwnershipOutcome.Changed changed:
                    Record = changed.Next with { Since = TimeProvider.System.GetUtcNow() };
                    break;
                case OwnershipOutcome.Refused refused:
                    throw new ErrorException(new ErrorInfo(ErrorKind.Refused, CodeOf(refused.Code), refused.What.TrimEnd('.'), "Nothing was changed.", refused.Remedy));
            }
        }
    }

    /// <summary>As the agent reports it.</summary>
    public OwnershipInfo Report() => Record.State switch
    {
        OwnershipState.Offered offered => new OwnershipInfo(
            Model.OwnershipState.Offered, Record.Line, Record.Since, offered.Transfer, new HostId(offered.To), offered.Parent),
        OwnershipState.Here here => new OwnershipInfo(
            Model.OwnershipState.Here, Record.Line, Record.Since, Record.Accepted, new HostId(Record.Peer), Record.Parent, here.Boot == Boot),
        _ => new OwnershipInfo(Model.OwnershipState.Elsewhere, Record.Line, Record.Since, Record.Accepted, new HostId(Record.Peer), Record.Parent),
    };

    /// <summary>The next line, minted here.</summary>
    public LineId Mint() => new(Record.Line.Counter + 1, (UInt128)Random.Shared.NextInt64(1, long.MaxValue));

    private static string CodeOf(RefusalCode code) => code switch
    {
        RefusalCode.NotOwner => "owned-elsewhere",
        RefusalCode.InTransit => "token-in-transit",
        RefusalCode.TransferRefused => "transfer-refused",
        RefusalCode.TransferAccepted => "transfer-accepted",
        RefusalCode.TransferOutdated => "transfer-outdated",
        RefusalCode.NotFenced => "not-fenced",
        RefusalCode.AlreadyFailedOver => "failed-over-already",
        _ => throw new System.Diagnostics.UnreachableException($"refusal {code}"),
    };
}
