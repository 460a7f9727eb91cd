using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>
/// Commands that take one VM, or several by rule (REG-5, PRO-7): what is meant is shown first, each VM gets a job of its own, and
/// what one refuses keeps no other from its job. The exit code is the worst of all: 1 when a job failed, 3 when a VM was refused.
/// </summary>
internal static class VmSelection
{
    /// <summary>It may be left out, so a misspelt option would be taken for it: <see cref="WrongUse.Misspelt"/>.</summary>
    public static readonly Argument<string?> Vms = new("vm")
    {
        Description = "Name or id of the VM; or several, by a rule such as 'web*', 'web*,tag:prod,!web-old' or all",
        Arity = ArgumentArity.ZeroOrOne,
    };

    public static readonly Option<string[]> Tag = new("--tag") { Description = "Those that also have this tag; may be given again", DefaultValueFactory = _ => [] };
    public static readonly Option<bool> DryRun = new("--dry-run") { Description = "Only show which VMs are meant, and what would be refused" };

    public delegate Task<SelectionDto> Several(string? vms, IReadOnlyList<string> tags, bool preview);

    /// <param name="doing">"protect", for the question.</param>
    public static async Task<ExitCode> RunAsync(CommandContext c, string doing, Func<string, Task<JobDto>> one, Several several, CancellationToken ct)
    {
        string? vms = c.GetOptional(Vms);
        string[] tags = c.Get(Tag)!; // has a default
        bool dryRun = c.Get(DryRun);
        if (vms is not null && tags.Length == 0 && !dryRun && !VmRule.IsRule(vms))
        {
            return await JobWatch.FollowAsync(c, await one(vms), ct);
        }

        SelectionDto preview = await several(vms, tags, true);
        if (dryRun)
        {
            c.Show(preview, CommandContext.Types.SelectionDto, (s, o) => WritePreview(s, o));
            return Worst(preview);
        }

        if (!c.Json)
        {
            WritePreview(preview, c.Io.Error);
        }

        int lawful = preview.Vms.Count(vm => vm.Error is null);
        if (lawful > 0 && Asking.Can(c) && !c.Get(GlobalOptions.Yes) && !await Asking.YesAsync(c, $"{char.ToUpperInvariant(doing[0])}{doing[1..]} {(lawful == 1 ? "this VM" : $"these {lawful} VMs")}?", ct))
        {
            c.Io.Error.WriteLine("understudy: nothing was done");
            return ExitCode.Refused;
        }

        SelectionDto started = await several(vms, tags, false);
        return await FollowAsync(c, started, ct);
    }

    private static async Task<ExitCode> FollowAsync(CommandContext c, SelectionDto started, CancellationToken ct)
    {
        List<SelectedVmDto> ended = [];
        foreach (SelectedVmDto vm in started.Vms)
        {
            if (vm.Job is not { } job || c.NoWait)
            {
                ended.Add(vm);
                continue;
            }

            if (!c.Json)
            {
                c.Io.Error.WriteLine($"{vm.Vm}: job {job.Id}");
            }

            ended.Add(vm with { Job = await JobWatch.WatchAsync(c, job.Id, job, ct) });
        }

        SelectionDto result = started with { Vms = ended };
        c.Show(result, CommandContext.Types.SelectionDto, WriteResult);
        return Worst(result);
    }

    /// <summary>A job that failed counts more than a VM that was refused.</summary>
    public static ExitCode Worst(SelectionDto selection) =>
        selection.Vms.Any(vm => vm.Job is { State: JobState.Failed or JobState.Cancelled }) ? ExitCode.Failed
        : selection.Vms.Any(vm => vm.Error is not null) ? ExitCode.Refused
        : ExitCode.Done;

    private static void WritePreview(SelectionDto selection, TextWriter output)
    {
        Table table = new("vm", "host", "possible");
        foreach (SelectedVmDto vm in selection.Vms)
        {
            table.Row(vm.Vm, vm.Host, vm.Error is { } error ? $"refused: {error.What}. {error.Why} ({error.Code})" : "yes");
        }

        table.WriteTo(output);
    }

    private static void WriteResult(SelectionDto selection, TextWriter output)
    {
        Table table = new("vm", "job", "result", "what to do");
        foreach (SelectedVmDto vm in selection.Vms)
        {
            ErrorDto? error = vm.Error ?? vm.Job?.Error;
            string result = vm.Job is { } job ? job.State.Word() : "refused";
            table.Row(vm.Vm, vm.Job is { Id: var id } ? $"{id}" : null, error is null ? result : $"{result}: {error.What}. {error.Why} ({error.Code})", error?.Next);
        }

        table.WriteTo(output);
    }
}
