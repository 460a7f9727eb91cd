using System.Text.Json;
using Understudy.Api.Control;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Agent.Local;

/// <summary>
/// What a person did with the host's own command line is told to the vault, now or when it is back: what was made and undone while it was
/// away leaves nothing in the reports.
/// </summary>
/// <param name="nameOf">How people call a VM of this host.</param>
internal sealed class LocalNews(IControlHandler operations, Action<AgentEvent> post, Func<VmId, string?> nameOf, TimeProvider time) : IControlHandler
{
    public async Task<ResponseMessage> AnswerAsync(RequestMessage request, Action<ProgressMessage> progress, CancellationToken connectionEnded)
    {
        VmId? vm = VmOf(request.Body);
        string whom = vm is { } known ? $" for {nameOf(known) ?? known.ToString()}" : ""; // before it is done: some commands end the last that knows the name
        ResponseMessage response = await operations.AnswerAsync(request, progress, connectionEnded);
        if (response.Error is null && CommandOf(request.Method) is { } command)
        {
            post(new AgentEvent(time.GetUtcNow(), HealthLevel.Warning, "local-command", vm, $"`{command}` was given on this host{whom}, and done{Gone(response.Body)}."));
        }

        return response;
    }

    public void Cancel(OperationId operation) => operations.Cancel(operation);

    public ValueTask OnPushAsync(PushMessage push, CancellationToken connectionEnded) => operations.OnPushAsync(push, connectionEnded);

    /// <summary>Those that change who runs a VM, or end something; the others leave what they made in the reports, or nothing.</summary>
    private static string? CommandOf(string method) =>
        method == AgentMethods.FailoverStart.Name ? "understudy local failover"
        : method == AgentMethods.FailoverCancel.Name ? "understudy local cancel"
        : method == AgentMethods.Commit.Name ? "understudy local commit"
        : method == AgentMethods.BranchDelete.Name ? "understudy local delete"
        : method == LocalMethods.Claim.Name ? "understudy local claim"
        : method == LocalMethods.Forget.Name ? "understudy local forget"
        : method == AgentMethods.SourceUnprotect.Name || method == AgentMethods.TargetUnprotect.Name ? "understudy agent leave"
        : null;

    /// <summary>Of what was deleted nothing is left that could be looked at.</summary>
    private static string Gone(JsonElement? body) =>
        body is { ValueKind: JsonValueKind.Object } answer && answer.TryGetProperty("gone", out JsonElement gone) && gone.ValueKind == JsonValueKind.Array && gone.GetArrayLength() > 0
            ? $"; gone: {string.Join(", ", gone.EnumerateArray().Select(thing => thing.GetString()))}"
            : "";

    private static VmId? VmOf(JsonElement body) =>
        body.ValueKind == JsonValueKind.Object && body.TryGetProperty("vm", out JsonElement vm) && vm.ValueKind == JsonValueKind.String && VmId.TryParse(vm.GetString(), out VmId id) ? id : null;
}
