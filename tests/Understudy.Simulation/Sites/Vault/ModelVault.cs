using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Sites.Vault;

/// <summary>
/// One life of the vault: the real deciders over rows in memory, and the orders that the real steps send. Jobs are carried
/// out as the runner does it: every outcome is written before the next step, a step begun again has the same operation id.
/// </summary>
internal sealed partial class ModelVault
{
    private static readonly TimeSpan ReadReportsEvery = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan CleanUpEvery = TimeSpan.FromSeconds(5);

    private readonly SitesWorld _world;
    private readonly SimProcess _process;
    private readonly SimRandom _random;
    private readonly Dictionary<JobRow, bool> _running = [];

    private ModelVault(SitesWorld world, SimProcess process)
    {
        _world = world;
        _process = process;
        _random = world.Random.Fork(30);
    }

    private VaultDatabase Db => _world.Database;

    public static async Task RunAsync(SitesWorld world, SimProcess process)
    {
        var vault = new ModelVault(world, process);
        world.Vault = vault;
        process.AtEnd(_ => world.Vault = world.Vault == vault ? null : world.Vault);
        foreach (JobRow job in world.Database.Jobs.Where(j => !j.HasEnded).ToArray())
        {
            vault.Begin(job);
        }

        vault.CleanUpAgainAndAgain();
        while (true)
        {
            await process.TakeTimeAsync(ReadReportsEvery);
            await vault.ReadReportsAsync();
        }
    }

    /// <summary>A user's command: null when a job was made of it, otherwise the code of the refusal.</summary>
    public Task<string?> OrderAsync(VmWatch vm, VmCommand command, Func<JobInput, VmSituation, JobInput?> fill) => _process.InvokeAsync(async () =>
    {
        await WriteAsync();
        VmSituation situation = Db.Situation(vm);
        Decision decision = LifeCycle.Decide(situation, command);
        string verdict = decision is Decision.Go ? "go" : ((Decision.Refuse)decision).Error.Code;
        if (decision is not Decision.Go go)
        {
            _world.Context.Coverage.Pair(situation.State, command);
            return verdict;
        }

        if (go.Action != JobAction.Set && Db.Leases.ContainsKey(vm.Id))
        {
            return "vm-busy";
        }

        if (command == VmCommand.Protect && (Db.Retired.ContainsValue(vm.Id) || _world.Source.Machine.Find(vm.Id) is null))
        {
            return "unknown-vm"; // What is left of it at the source, if anything, is no VM to protect.
        }

        ReplicaId replica = command == VmCommand.Protect ? new ReplicaId(_world.Ids.NewGuid()) : Db.ReplicaOf(vm.Id);
        if (fill(new JobInput(replica), situation) is not { } input)
        {
            return "nothing to name";
        }

        _world.Context.Coverage.Pair(situation.State, command);
        if (command == VmCommand.Protect)
        {
            Db.Protections[vm.Id] = new ProtectionRow(vm.Id, replica) { Retention = _world.Retention };
        }

        vm.Words += command is VmCommand.UnplannedFailover or VmCommand.Promote ? 1 : 0;
        IReadOnlyList<StepKind> steps = command == VmCommand.UnplannedFailover && input.ShutDownSource ? LifeCycle.UnplannedWithShutdown : go.Steps;
        var job = new JobRow(Db.Jobs.Count + 1, vm.Id, go.Action, steps, input, NewOperation);
        Db.Jobs.Add(job);
        TakeLease(job);
        _world.Context.Counters.Add($"job: {go.Action}");
        Trace(job, "job made", go.Action.ToString());
        Begin(job);
        await WriteAsync();
        return null;
    });

    /// <summary>The user completes the test that a job waits with, or says what it shall do about a guest that does not stop.</summary>
    public Task<bool> AnswerAsync(JobRow job, bool powerOff) => _process.InvokeAsync(async () =>
    {
        await WriteAsync();
        if (job.HasEnded || job.Completed || JobFlow.Next(job.Flow, job.CancelRequested, job.Completed) is not FlowAction.Wait wait || !TakeLease(job))
        {
            return false;
        }

        if (wait.For == JobWait.Action)
        {
            job.Again(job.Steps[wait.Index]);
            job.Input = job.Input with { PowerOff = powerOff };
        }

        job.Completed = wait.For is JobWait.TestCompletion or JobWait.Maintenance;
        Begin(job);
        return true;
    });

    public Task<bool> CancelAsync(JobRow job) => _process.InvokeAsync(async () =>
    {
        await WriteAsync();
        if (job.HasEnded || JobFlow.WhyNotCancellable(job.Flow) is not null || !TakeLease(job))
        {
            return false;
        }

        job.CancelRequested = true;
        if (job.Steps.Find(s => s.State == StepState.Running) is { } step && JobFlow.IsCancellable(step.Kind))
        {
            foreach (Site site in _world.Sites)
            {
                site.Agent?.Cancel(step.Operation);
            }
        }

        Begin(job);
        return true;
    });

    public Task<bool> RetryAsync(JobRow job) => _process.InvokeAsync(async () =>
    {
        await WriteAsync();
        bool isRefused = LifeCycle.WhyNotAnew(Db.Situation(_world.Vms.Single(vm => vm.Id == job.Vm)), job.Action) is not null;
        if (job.State is not (JobState.Failed or JobState.Cancelled) || Db.IsOutdated(job) || isRefused || !TakeLease(job))
        {
            return false;
        }

        job.Retry(_world.Ids.NewGuid);
        Begin(job);
        return true;
    });

    /// <summary>Time that a transaction takes; a vault that is killed around it has made it or not.</summary>
    private Task WriteAsync() => _process.TakeTimeAsync(_random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(10)));

    private OperationId NewOperation() => new(_world.Ids.NewGuid());

    private bool TakeLease(JobRow job)
    {
        if (job.Action == JobAction.Set)
        {
            return true; // It holds nobody up.
        }

        if (Db.Leases.TryGetValue(job.Vm, out JobRow? holder) && holder != job)
        {
            return false;
        }

        Db.Leases[job.Vm] = job;
        return true;
    }

    private void LeaveLease(JobRow job)
    {
        if (Db.Leases.GetValueOrDefault(job.Vm) == job)
        {
            Db.Leases.Remove(job.Vm);
        }
    }

    private void Begin(JobRow job)
    {
        if (!_running.TryAdd(job, false))
        {
            _running[job] = true; // It looks once more before it stops.
            return;
        }

        RunAsync(job);
    }

    private async void RunAsync(JobRow job)
    {
        try
        {
            do
            {
                _running[job] = false;
                while (await DoNextAsync(job))
                {
                    // Each turn leaves the job in a state from which any later vault can go on.
                }
            }
            while (_running[job]);
        }
#pragma warning disable CA1031 // A fault of the model itself.
        catch (Exception broken)
#pragma warning restore CA1031
        {
            _world.Context.Violations.Report("crash", $"job {job.Id} {job.Action}: {broken}");
        }

        _running.Remove(job);
    }

    /// <summary>False when there is nothing more to do now.</summary>
    private async Task<bool> DoNextAsync(JobRow job)
    {
        await WriteAsync();
        if (job.HasEnded)
        {
            return false;
        }

        switch (JobFlow.Next(job.Flow, job.CancelRequested, job.Completed))
        {
            case FlowAction.Run run:
                await RunStepAsync(job, job.Steps[run.Index]);
                return true;
            case FlowAction.Pass pass:
                job.Steps[pass.Index].State = pass.As;
                return true;
            case FlowAction.Wait wait:
                job.State = JobState.Waiting;
                job.Steps[wait.Index].State = StepState.Waiting;
                if (wait.For is JobWait.TestCompletion or JobWait.Maintenance)
                {
                    LeaveLease(job);
                }

                Trace(job, "job waits", wait.For.ToString());
                return false;
            case FlowAction.Undo undo:
                job.Add(undo.Kind);
                return true;
            case FlowAction.End end:
                End(job, end.As);
                return false;
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private async Task RunStepAsync(JobRow job, StepRow step)
    {
        (job.State, step.State) = (JobState.Running, StepState.Running);
        Trace(job, "step begins", step.Kind.ToString());
        if (step.Kind == StepKind.FirstCopy)
        {
            LeaveLease(job);
        }

        await WriteAsync();
        StepOutcome outcome;
        try
        {
            outcome = await CarryOutAsync(job, step);
        }
        catch (StepFailedException failed)
        {
            outcome = new StepOutcome(failed.Code == "cancelled" && job.CancelRequested ? StepState.Cancelled : StepState.Failed) { Error = failed.Code };
            _world.Context.Trace.Note(_world.Simulator.NowTicks, _process.Name, $"job {job.Id} {step.Kind}: {failed.Message}");
        }

        await WriteAsync();
        step.State = outcome.State;
        job.Input = outcome.Input ?? job.Input;
        job.Error = outcome.Error ?? job.Error;
        Trace(job, "step ends", $"{step.Kind} {outcome.State} {outcome.Error}");
        _world.Context.Counters.Add($"step: {step.Kind} {outcome.State}");
    }

    private void End(JobRow job, JobState state)
    {
        (job.State, job.HasEnded) = (state, true);
        Trace(job, "job ends", state.ToString());
        if (Db.Protections.TryGetValue(job.Vm, out ProtectionRow? row) && row.Replica == job.Input.Replica)
        {
            OnEnd(job, row, state);
        }

        LeaveLease(job);
    }

    private void OnEnd(JobRow job, ProtectionRow row, JobState state)
    {
        bool nothingMade = job.Action == JobAction.Protect && state != JobState.Succeeded && job.Steps.Find(s => s.Kind == StepKind.CreateReplica)?.State == StepState.Pending;
        if (nothingMade || (job.Action == JobAction.Unprotect && state == JobState.Succeeded))
        {
            Db.Protections.Remove(job.Vm);
            Db.Sources.Remove(job.Vm);
            Db.Targets.Remove(job.Vm);
        }
        else if (job is { Action: JobAction.Promote, Input.Test: { } test } && state == JobState.Succeeded && row.Tests.Remove(test, out JobRow? waiting))
        {
            (waiting.State, waiting.HasEnded) = (JobState.Succeeded, true);
        }
        else if (state != JobState.Succeeded)
        {
            Follow(row);
        }
    }

    private void Trace(JobRow job, string what, string subject) =>
        _world.Context.Trace.Event(_world.Simulator.NowTicks, _process.Name, what, subject, job.Id);
}

/// <summary>How a step ended.</summary>
internal sealed record StepOutcome(StepState State, JobInput? Input = null)
{
    public string? Error { get; init; }

    public static StepOutcome Done { get; } = new(StepState.Succeeded);
}

internal sealed class StepFailedException(string code, string message) : Exception($"{code}: {message}")
{
    public string Code { get; } = code;
}
