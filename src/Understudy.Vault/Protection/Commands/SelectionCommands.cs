using Microsoft.Extensions.Logging;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Jobs;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Protection.Commands;

/// <summary>
/// One command on several VMs (REG-5, PRO-7): a job for each. What one VM refuses stands beside it in the answer and keeps no
/// other from its job; nor does what breaks, for nobody would be told of the jobs begun before. A preview says the same and starts nothing.
/// </summary>
internal sealed partial class SelectionCommands(
    CommandDesk desk, ProtectCommand protect, ReplicationCommands replication, JobStore jobs, TimeProvider time, ILogger<SelectionCommands> logger)
{
    public async Task<SelectionDto> ProtectAsync(ProtectSelectedDto request, string user, CancellationToken cancellationToken)
    {
        Selection selection = Selection.Of(request.Vms, request.Tags);
        ProtectDto each = request.Protect ?? throw new ErrorException(Errors.MissingValue("protect"));
        await using VaultDb db = desk.Open();
        HostRow target = await db.FindTargetAsync(each.To ?? throw new ErrorException(Errors.MissingValue("to")), cancellationToken);
        IReadOnlyList<Chosen> chosen = await selection.ElsewhereAsync(db, target, cancellationToken);
        if (chosen.Count > 1 && (each.Name is not null || each.Nics is { Count: > 0 }))
        {
            throw new ErrorException(Errors.BadValue(
                each.Name is not null ? "name" : "nics", each.Name ?? each.Nics![0].Mac, $"it is for one VM, and {chosen.Count} are meant; change it afterwards with `understudy vm set`"));
        }

        return await EachAsync(
            selection,
            chosen,
            request.Preview,
            vm => protect.ForeseeAsync(vm.Vm.ToString(), each, cancellationToken),
            vm => protect.RunAsync(vm.Vm.ToString(), each, user, cancellationToken),
            cancellationToken);
    }

    public Task<SelectionDto> PauseAsync(SelectDto request, string user, CancellationToken cancellationToken) =>
        ProtectedAsync(request, VmCommand.Pause, vm => replication.PauseAsync(vm.Vm.ToString(), user, cancellationToken), cancellationToken);

    public Task<SelectionDto> ResumeAsync(SelectDto request, string user, CancellationToken cancellationToken) =>
        ProtectedAsync(request, VmCommand.Resume, vm => replication.ResumeAsync(vm.Vm.ToString(), user, cancellationToken), cancellationToken);

    public Task<SelectionDto> ResyncAsync(SelectDto request, string user, CancellationToken cancellationToken) =>
        ProtectedAsync(request, VmCommand.Resync, vm => replication.ResyncAsync(vm.Vm.ToString(), user, cancellationToken), cancellationToken);

    private async Task<SelectionDto> ProtectedAsync(SelectDto request, VmCommand command, Func<Chosen, Task<JobId>> start, CancellationToken cancellationToken)
    {
        Selection selection = Selection.Of(request.Vms, request.Tags);
        await using VaultDb db = desk.Open();
        return await EachAsync(
            selection,
            await selection.ProtectedAsync(db, cancellationToken),
            request.Preview,
            async vm => await desk.DecideAsync(db, vm.Vm.ToString(), command, cancellationToken),
            start,
            cancellationToken);
    }

    /// <param name="foresee">Throws what the command would.</param>
    private async Task<SelectionDto> EachAsync(
        Selection selection, IReadOnlyList<Chosen> chosen, bool preview, Func<Chosen, Task> foresee, Func<Chosen, Task<JobId>> start, CancellationToken cancellationToken)
    {
        if (chosen.Count == 0)
        {
            throw new ErrorException(Errors.NothingSelected(selection.Text));
        }

        List<SelectedVmDto> vms = [];
        foreach (Chosen vm in chosen)
        {
            try
            {
                JobDto? job = null;
                if (preview)
                {
                    await foresee(vm);
                }
                else
                {
                    job = JobView.ToDto(await jobs.GetAsync(await start(vm), cancellationToken), time.GetUtcNow());
                }

                vms.Add(new SelectedVmDto(vm.Vm.Value, vm.Name, vm.Host, job, null));
            }
            catch (ErrorException refused)
            {
                vms.Add(new SelectedVmDto(vm.Vm.Value, vm.Name, vm.Host, null, ErrorDto.From(refused.Error)));
            }
            catch (Exception fault) when (fault is not OperationCanceledException)
            {
                Broke(logger, vm.Name, fault);
                vms.Add(new SelectedVmDto(vm.Vm.Value, vm.Name, vm.Host, null, ErrorDto.From(Errors.Internal(fault.Message))));
            }
        }

        return new SelectionDto(selection.Text, preview, vms);
    }

    [LoggerMessage(440, LogLevel.Error, "VM {Vm}, one of several, failed unexpectedly")]
    private static partial void Broke(ILogger logger, string vm, Exception fault);
}
