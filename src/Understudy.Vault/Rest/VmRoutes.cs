using System.Security.Claims;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Vault.Jobs;
using Understudy.Vault.Protection;
using Understudy.Vault.Protection.Commands;
using Understudy.Vault.Security;

namespace Understudy.Vault.Rest;

/// <summary>Policies, VMs, and the commands on them: each command answers 202 with its job.</summary>
internal static class VmRoutes
{
    private const int DefaultHours = 24;

    public static void Map(RouteGroupBuilder api)
    {
        MapPolicies(api);
        api.MapGet("/vms", (string? select, string[]? tag, VmView vms, CancellationToken ct) =>
                vms.ListAsync(select is null && tag is not { Length: > 0 } ? null : Selection.Of(select, tag), ct))
            .WithName("listVms").WithSummary("Discovered VMs with their protection: all, or those a rule means that have every tag named");
        api.MapGet("/vms/{vm}", (string vm, VmView vms, CancellationToken ct) => vms.GetAsync(vm, ct))
            .WithName("getVm").WithSummary("One VM by name or id");
        api.MapPost("/vms/{vm}/verify", (string vm, ProtectDto body, ProtectCommand command, CancellationToken ct) => command.VerifyAsync(vm, body, ct))
            .WithName("verifyVm").WithSummary("Says what protecting the VM would find, worst first");
        api.MapPost("/vms/{vm}/protect", (string vm, ProtectDto body, ClaimsPrincipal user, ProtectCommand command, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(command.RunAsync(vm, body, user.UserName(), ct), jobs, time, ct))
            .WithName("protectVm").WithSummary("Protects the VM");
        api.MapPatch("/vms/{vm}", (string vm, VmSetDto body, ClaimsPrincipal user, SettingsCommand command, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(command.RunAsync(vm, body, user.UserName(), ct), jobs, time, ct))
            .WithName("setVm").WithSummary("Changes settings, in every state; a host that is away takes them up when it returns");
        api.MapGet("/vms/{vm}/rpo", (string vm, int? hours, RpoHistory history, CancellationToken ct) => history.ListAsync(vm, hours ?? DefaultHours, ct))
            .WithName("listRpo").WithSummary("How old the newest point became, in stretches of five minutes, oldest first");
        MapSelections(api);
        MapReplication(api);
        MapRecovery(api);
        MapPoints(api);
    }

    /// <summary>Several VMs at once: the answer has a job or a refusal for each.</summary>
    private static void MapSelections(RouteGroupBuilder api)
    {
        api.MapPost("/vms/protect", (ProtectSelectedDto body, ClaimsPrincipal user, SelectionCommands commands, CancellationToken ct) =>
                commands.ProtectAsync(body, user.UserName(), ct))
            .WithName("protectVms").WithSummary("Protects the VMs a rule means, a job for each; or says what that would do");
        api.MapPost("/vms/pause", (SelectDto body, ClaimsPrincipal user, SelectionCommands commands, CancellationToken ct) =>
                commands.PauseAsync(body, user.UserName(), ct))
            .WithName("pauseVms").WithSummary("Pauses the protected VMs a rule means");
        api.MapPost("/vms/resume", (SelectDto body, ClaimsPrincipal user, SelectionCommands commands, CancellationToken ct) =>
                commands.ResumeAsync(body, user.UserName(), ct))
            .WithName("resumeVms").WithSummary("Resumes the protected VMs a rule means");
        api.MapPost("/vms/resync", (SelectDto body, ClaimsPrincipal user, SelectionCommands commands, CancellationToken ct) =>
                commands.ResyncAsync(body, user.UserName(), ct))
            .WithName("resyncVms").WithSummary("Reads all disks of the protected VMs a rule means again");
    }

    private static void MapReplication(RouteGroupBuilder api)
    {
        api.MapPost("/vms/{vm}/pause", (string vm, ClaimsPrincipal user, ReplicationCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.PauseAsync(vm, user.UserName(), ct), jobs, time, ct))
            .WithName("pauseVm").WithSummary("Stops cutting until it is resumed; points stay");
        api.MapPost("/vms/{vm}/resume", (string vm, ClaimsPrincipal user, ReplicationCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.ResumeAsync(vm, user.UserName(), ct), jobs, time, ct))
            .WithName("resumeVm").WithSummary("Cuts again");
        api.MapPost("/vms/{vm}/resync", (string vm, ClaimsPrincipal user, ReplicationCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.ResyncAsync(vm, user.UserName(), ct), jobs, time, ct))
            .WithName("resyncVm").WithSummary("Reads all disks again; every listed point stays good");
        api.MapPost("/vms/{vm}/mark", (string vm, MarkDto body, ClaimsPrincipal user, ReplicationCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.MarkAsync(vm, body, user.UserName(), ct), jobs, time, ct))
            .WithName("markVm").WithSummary("Cuts a point now and marks it with a label");
        api.MapPost("/vms/{vm}/unprotect", (string vm, UnprotectDto? body, ClaimsPrincipal user, ReplicationCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.UnprotectAsync(vm, body ?? new UnprotectDto(KeepAtTarget: false), user.UserName(), ct), jobs, time, ct))
            .WithName("unprotectVm").WithSummary("Ends the protection and removes what it made; after a failover the VM is kept at its target");
    }

    private static void MapRecovery(RouteGroupBuilder api)
    {
        api.MapPost("/vms/{vm}/test", (string vm, TestVmDto body, ClaimsPrincipal user, TestCommand command, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(command.RunAsync(vm, body, user.UserName(), ct), jobs, time, ct))
            .WithName("testVm").WithSummary("Starts a copy from a recovery point or a branch; the job waits until the test is completed");
        api.MapPost("/vms/{vm}/promote", (string vm, PromoteDto body, ClaimsPrincipal user, FailoverCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.PromoteAsync(vm, body, user.UserName(), ct), jobs, time, ct))
            .WithName("promoteTest").WithSummary("Turns a test into a failover from the same point; takes the word FAILOVER");
        api.MapGet("/vms/{vm}/failover", (string vm, FailoverCommands commands, CancellationToken ct) => commands.PreviewAsync(vm, ct))
            .WithName("previewFailover").WithSummary("What is known of the source, and what would be lost");
        api.MapPost("/vms/{vm}/failover", (string vm, FailoverDto body, ClaimsPrincipal user, FailoverCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.FailOverAsync(vm, body, user.UserName(), ct), jobs, time, ct))
            .WithName("failOverVm").WithSummary("Planned: shut down, last change, start at the target. Unplanned: start there from a point; takes the word FAILOVER");
        api.MapPost("/vms/{vm}/change-point", (string vm, ChangePointDto body, ClaimsPrincipal user, FailoverCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.ChangePointAsync(vm, body, user.UserName(), ct), jobs, time, ct))
            .WithName("changePoint").WithSummary("Runs the VM at the target from another point; before commit");
        api.MapPost("/vms/{vm}/cancel", (string vm, CancelFailoverDto? body, ClaimsPrincipal user, FailoverCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.CancelAsync(vm, body ?? new CancelFailoverDto(), user.UserName(), ct), jobs, time, ct))
            .WithName("cancelFailover").WithSummary("Gives the VM back to its source; before commit. What ran at the target is kept as a branch. Takes the word OFFLINE when the source is away");
        api.MapPost("/vms/{vm}/commit", (string vm, ClaimsPrincipal user, FailoverCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.CommitAsync(vm, user.UserName(), ct), jobs, time, ct))
            .WithName("commitVm").WithSummary("Makes the failover final");
    }

    /// <summary>Where a point is asked for, the name of a branch does as well.</summary>
    private static void MapPoints(RouteGroupBuilder api)
    {
        api.MapGet("/vms/{vm}/points", (string vm, PointCommands commands, CancellationToken ct) => commands.ListAsync(vm, ct))
            .WithName("listPoints").WithSummary("Recovery points, oldest first");
        api.MapGet("/vms/{vm}/points/{point}", (string vm, string point, PointCommands commands, CancellationToken ct) => commands.GetAsync(vm, point, ct))
            .WithName("getPoint").WithSummary("One point by id, time or rule");
        api.MapPost("/vms/{vm}/points/{point}/export",
                (string vm, string point, ExportDto body, ClaimsPrincipal user, PointCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                    AnswerAsync(commands.ExportAsync(vm, point, body, user.UserName(), ct), jobs, time, ct))
            .WithName("exportPoint").WithSummary("Writes the disks of a point into a folder of the target host");
        api.MapPost("/vms/{vm}/points/{point}/mount",
                (string vm, string point, MountDto body, ClaimsPrincipal user, PointCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                    AnswerAsync(commands.MountAsync(vm, point, body, user.UserName(), ct), jobs, time, ct))
            .WithName("mountPoint").WithSummary("Shows a point as bare block devices of the target host");
        api.MapPost("/vms/{vm}/points/{point}/attach",
                (string vm, string point, AttachDto body, ClaimsPrincipal user, PointCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                    AnswerAsync(commands.AttachAsync(vm, point, body, user.UserName(), ct), jobs, time, ct))
            .WithName("attachPoint").WithSummary("Gives a point to a VM of the target host as extra disks");
        api.MapDelete("/vms/{vm}/mounts/{mount}", (string vm, string mount, ClaimsPrincipal user, PointCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.TakeBackAsync(vm, Unescaped(mount), user.UserName(), ct), jobs, time, ct))
            .WithName("takeMountBack").WithSummary("Unmounts or detaches what was given out");
        api.MapGet("/vms/{vm}/branches", (string vm, PointCommands commands, CancellationToken ct) => commands.ListBranchesAsync(vm, ct))
            .WithName("listBranches").WithSummary("Kept states of lines that lost, oldest first");
        api.MapPost("/vms/{vm}/branches/{branch}/delete",
                (string vm, string branch, DeleteBranchDto body, ClaimsPrincipal user, PointCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                    AnswerAsync(commands.DeleteBranchAsync(vm, branch, body, user.UserName(), ct), jobs, time, ct))
            .WithName("deleteBranch").WithSummary("Deletes a branch; takes its name once more");
    }

    /// <summary>Routing decodes all of a segment but its slashes, and a device is a path.</summary>
    private static string Unescaped(string segment) => segment.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);

    private static void MapPolicies(RouteGroupBuilder api)
    {
        api.MapGet("/policies", (PolicyStore policies, CancellationToken ct) => policies.ListAsync(ct))
            .WithName("listPolicies").WithSummary("All policies");
        api.MapGet("/policies/{policy}", (string policy, PolicyStore policies, CancellationToken ct) => policies.GetAsync(policy, ct))
            .WithName("getPolicy").WithSummary("One policy");
        api.MapPut("/policies/{policy}", (string policy, PolicySetDto body, PolicyStore policies, CancellationToken ct) => policies.SetAsync(policy, body, ct))
            .WithName("setPolicy").WithSummary("Makes or changes a policy; what is left out keeps its value");
        api.MapDelete("/policies/{policy}", async Task<NoContent> (string policy, PolicyStore policies, CancellationToken ct) =>
            {
                await policies.RemoveAsync(policy, ct);
                return TypedResults.NoContent();
            })
            .WithName("removePolicy").WithSummary("Removes a policy that no VM uses");
    }

    private static async Task<Accepted<JobDto>> AnswerAsync(Task<JobId> started, JobStore jobs, TimeProvider time, CancellationToken ct)
    {
        JobId job = await started;
        return TypedResults.Accepted($"/api/v1/jobs/{job}", JobView.ToDto(await jobs.GetAsync(job, ct), time.GetUtcNow()));
    }
}
