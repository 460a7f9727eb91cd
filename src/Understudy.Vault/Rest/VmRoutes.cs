using System.Security.Claims;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Vault.Jobs;
using Understudy.Vault.Protection;
using Understudy.Vault.Security;

namespace Understudy.Vault.Rest;

/// <summary>Policies, VMs, and the commands on them: each command answers 202 with its job.</summary>
internal static class VmRoutes
{
    public static void Map(RouteGroupBuilder api)
    {
        MapPolicies(api);
        api.MapGet("/vms", (VmView vms, CancellationToken ct) => vms.ListAsync(ct))
            .WithName("listVms").WithSummary("All discovered VMs with their protection");
        api.MapGet("/vms/{vm}", (string vm, VmView vms, CancellationToken ct) => vms.GetAsync(vm, ct))
            .WithName("getVm").WithSummary("One VM by name or id");
        api.MapPost("/vms/{vm}/verify", (string vm, ProtectDto body, ProtectCommand command, CancellationToken ct) => command.VerifyAsync(vm, body, ct))
            .WithName("verifyVm").WithSummary("Says what protecting the VM would find, worst first");
        api.MapPost("/vms/{vm}/protect", (string vm, ProtectDto body, ClaimsPrincipal user, ProtectCommand command, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(command.RunAsync(vm, body, user.UserName(), ct), jobs, time, ct))
            .WithName("protectVm").WithSummary("Protects the VM");
        api.MapPost("/vms/{vm}/test", (string vm, TestVmDto body, ClaimsPrincipal user, VmCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.TestAsync(vm, body, user.UserName(), ct), jobs, time, ct))
            .WithName("testVm").WithSummary("Starts a copy from a recovery point; the job waits until the test is completed");
        api.MapGet("/vms/{vm}/failover", (string vm, VmCommands commands, CancellationToken ct) => commands.PreviewFailoverAsync(vm, ct))
            .WithName("previewFailover").WithSummary("What is known of the source, and what would be lost");
        api.MapPost("/vms/{vm}/failover", (string vm, FailoverDto body, ClaimsPrincipal user, VmCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.FailoverAsync(vm, body, user.UserName(), ct), jobs, time, ct))
            .WithName("failOverVm").WithSummary("Starts the VM at the target from a recovery point; takes the word FAILOVER");
        api.MapPost("/vms/{vm}/commit", (string vm, ClaimsPrincipal user, VmCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.CommitAsync(vm, user.UserName(), ct), jobs, time, ct))
            .WithName("commitVm").WithSummary("Makes the failover final");
        api.MapPost("/vms/{vm}/unprotect", (string vm, ClaimsPrincipal user, VmCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                AnswerAsync(commands.UnprotectAsync(vm, user.UserName(), ct), jobs, time, ct))
            .WithName("unprotectVm").WithSummary("Ends the protection and removes what it made");
        api.MapGet("/vms/{vm}/points", (string vm, VmCommands commands, CancellationToken ct) => commands.ListPointsAsync(vm, ct))
            .WithName("listPoints").WithSummary("Recovery points, oldest first");
        api.MapPost("/vms/{vm}/points/{point}/export",
                (string vm, string point, ExportDto body, ClaimsPrincipal user, VmCommands commands, JobStore jobs, TimeProvider time, CancellationToken ct) =>
                    AnswerAsync(commands.ExportAsync(vm, point, body, user.UserName(), ct), jobs, time, ct))
            .WithName("exportPoint").WithSummary("Writes the disks of a point into a folder of the target host");
    }

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
