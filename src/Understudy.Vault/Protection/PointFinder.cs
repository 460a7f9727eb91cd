using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Agents;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection;

/// <summary>What a command starts from: a point, or the branch that stands on it.</summary>
internal sealed record Picked(RecoveryPointId Point, BranchInfo? Branch);

/// <summary>Recovery points of a VM. The target's agent has the list; the vault keeps none that could be out of date.</summary>
internal sealed class PointFinder(VaultStorage storage, AgentRegistry agents, TimeProvider time)
{
    private static readonly TimeSpan _answerLimit = TimeSpan.FromSeconds(30);

    /// <summary>Oldest first.</summary>
    public async Task<PointsAnswer> ListAsync(ProtectedVm vm, CancellationToken cancellationToken)
    {
        string host = await HostNameAsync(vm, cancellationToken);
        AgentSession session = agents.Find(vm.TargetHost) ?? throw new ErrorException(Errors.HostOffline(host));
        using CancellationTokenSource limit = new(_answerLimit, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await session.InvokeAsync(AgentMethods.PointsList, null, new PointsRequest(vm.Replica), null, either.Token) switch
            {
                AgentReply<PointsAnswer>.Answered answered => answered.Value,
                AgentReply<PointsAnswer>.Refused refused => throw new ErrorException(refused.Error.Error),
                _ => throw new ErrorException(Errors.HostOffline(host)),
            };
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ErrorException(Errors.HostSilent(host, _answerLimit));
        }
    }

    /// <param name="wanted">An id, "latest" (also null), or a time: the newest point cut within that second.</param>
    /// <exception cref="ErrorException">There is none; the name of a branch is told from a point that has gone.</exception>
    public async Task<RecoveryPointInfo> FindAsync(ProtectedVm vm, string? wanted, CancellationToken cancellationToken)
    {
        PointsAnswer all = await ListAsync(vm, cancellationToken);
        ErrorInfo unknown = Errors.UnknownPoint(vm.Name, wanted ?? PointChoice.Latest);
        return PointChoice.Find(all.Points, wanted)
            ?? throw new ErrorException(wanted is not null && all.Branches?.Any(branch => BranchName.Is(branch, wanted)) == true
                ? unknown with { Why = "That is the name of a branch, and this takes a recovery point.", Next = $"See {Typed.Command("point list", vm.Name)}, which shows both." }
                : unknown);
    }

    /// <param name="wanted">As for <see cref="FindAsync"/>, or the name of a branch at the target.</param>
    public async Task<Picked> PickAsync(ProtectedVm vm, string? wanted, CancellationToken cancellationToken)
    {
        PointsAnswer all = await ListAsync(vm, cancellationToken);
        if (wanted is not null && all.Branches?.FirstOrDefault(branch => BranchNames.IsNamed(branch, wanted)) is { } branch)
        {
            return branch.Point is { } standsOn ? new Picked(standsOn, branch) : throw new ErrorException(Errors.UnknownPoint(vm.Name, wanted));
        }

        return PointChoice.Find(all.Points, wanted) is { } point
            ? new Picked(point.Id, null)
            : throw new ErrorException(Errors.UnknownPoint(vm.Name, wanted ?? PointChoice.Latest));
    }

    private async Task<string> HostNameAsync(ProtectedVm vm, CancellationToken cancellationToken)
    {
        await using VaultDb db = storage.Open();
        return await db.Hosts.Where(row => row.Id == vm.TargetHost.Value).Select(row => row.Name).SingleAsync(cancellationToken);
    }
}
