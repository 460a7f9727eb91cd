using Understudy.Api.Rest;
using Understudy.CommandLine.Nouns;
using Understudy.Model;

namespace Understudy.Tests.CommandLine;

public sealed class VmSelectionTests
{
    [Theory]
    [InlineData("done", ExitCode.Done)]
    [InlineData("done waiting", ExitCode.Done)]
    [InlineData("done refused", ExitCode.Refused)]
    [InlineData("refused", ExitCode.Refused)]
    [InlineData("refused failed done", ExitCode.Failed)]
    [InlineData("cancelled", ExitCode.Failed)]
    public void The_exit_code_is_the_worst_of_all_vms(string ends, ExitCode code) =>
        Assert.Equal(code, VmSelection.Worst(new SelectionDto("all", false, [.. ends.Split(' ').Select(Of)])));

    private static SelectedVmDto Of(string end) => new(Guid.NewGuid(), "web1", "alpha", end == "refused" ? null : Job(end), end == "refused" ? ErrorDto.From(Errors.NotProtected("web1")) : null);

    private static JobDto Job(string end) => new(
        1, "web1 (pause)", JobAction.Pause, "web1", end switch { "failed" => JobState.Failed, "cancelled" => JobState.Cancelled, "waiting" => JobState.Waiting, _ => JobState.Succeeded },
        JobWait.None, "admin", default, null, 0, [], [], null, null, 1);
}
