using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Jobs;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection.Commands;

/// <summary>Pause, resume, resynchronise, bookmark, and the end of a protection.</summary>
internal sealed class ReplicationCommands(CommandDesk desk)
{
    public async Task<JobId> PauseAsync(string vmName, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Pause, cancellationToken);
        return await desk.StartAsync(subject, new PauseInput(subject.Vm.Replica, user), user, cancellationToken);
    }

    public Task<JobId> ResumeAsync(string vmName, string user, CancellationToken cancellationToken) => PlainAsync(vmName, VmCommand.Resume, user, cancellationToken);

    public Task<JobId> ResyncAsync(string vmName, string user, CancellationToken cancellationToken) => PlainAsync(vmName, VmCommand.Resync, user, cancellationToken);

    public async Task<JobId> MarkAsync(string vmName, MarkDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Mark, cancellationToken);
        await desk.RequireOnlineAsync(db, subject.Vm.SourceHost, cancellationToken);
        return await desk.StartAsync(subject, new MarkInput(subject.Vm.Replica, CommandDesk.Label(request.Label)), user, cancellationToken);
    }

    public async Task<JobId> UnprotectAsync(string vmName, UnprotectDto request, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, VmCommand.Unprotect, cancellationToken);
        bool atTarget = subject.Go.Steps.Contains(StepKind.RetireSource);
        if (atTarget && !request.KeepAtTarget)
        {
            throw new ErrorException(Errors.StayUnsaid(subject.Vm.Name, await CommandDesk.HostNameAsync(db, subject.Vm.TargetHost, cancellationToken)));
        }

        return request.KeepAtTarget && !atTarget
            ? throw new ErrorException(Errors.BadValue("keepAtTarget", "true", $"VM {subject.Vm.Name} does not run at its target"))
            : await desk.StartAsync(subject, new PlainInput(subject.Vm.Replica), user, cancellationToken);
    }

    private async Task<JobId> PlainAsync(string vmName, VmCommand command, string user, CancellationToken cancellationToken)
    {
        await using VaultDb db = desk.Open();
        Subject subject = await desk.DecideAsync(db, vmName, command, cancellationToken);
        return await desk.StartAsync(subject, new PlainInput(subject.Vm.Replica), user, cancellationToken);
    }
}
