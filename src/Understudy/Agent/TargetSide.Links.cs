using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Protection.Target;
using Understudy.Replication.Calling;

namespace Understudy.Agent;

/// <summary>Which way each replica is reached (REG-3).</summary>
internal sealed partial class TargetSide
{
    /// <summary>Who dials from now on (REG-3). A session that the source has opened goes on to its end.</summary>
    public async Task LinkAsync(TargetLinkRequest request, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        RunningReplica running = FindRunning(request.Replica) ?? throw new ErrorException(Unknown(request.Replica));
        TargetLink? link = request.SourceEndpoint is { } source ? new TargetLink(source) : null;
        await TargetLink.KeepAsync(ReplicaFolders.FolderOf(config, running.Host.Spec.Vm), link, CancellationToken.None);
        if (link != running.Link)
        {
            await running.DisposeCallsAsync();
            StartCalls(running, link);
        }
    }

    /// <summary>A choice that cannot be read keeps no replica from opening: the vault sees that it is missing and gives it again.</summary>
    private async ValueTask<TargetLink?> ReadLinkAsync(string folder, CancellationToken cancellationToken)
    {
        try
        {
            return await TargetLink.TryReadAsync(folder, cancellationToken);
        }
        catch (StorageException e)
        {
            AgentLog.PartStopped(logger, $"Dialling for the replica in {folder}", e.Message, e);
            return null;
        }
    }

    private void StartCalls(RunningReplica running, TargetLink? link)
    {
        ReplicaSpec spec = running.Host.Spec;
        running.StartCalls(link, link is null || Caller is not { } caller ? null : ct => caller.RunAsync(
            new CalledSource(spec.Replica, spec.Vm, spec.Source, dial => dialler.ConnectAsync(link.Source, spec.Source, dial)), ct));
    }
}
