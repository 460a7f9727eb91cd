using System.Reflection;
using System.Text.RegularExpressions;
using Understudy.Model;

namespace Understudy.Plans.Tests;

/// <summary>What is said with names that libvirt allows and shells and sentences do not: commands can be pasted, and a name stays
/// as its owner wrote it.</summary>
public sealed partial class TypedTests
{
    private const string Odd = "my web's \"ä\"";

    [Theory]
    [InlineData("web1", "`understudy vm set web1 --cpus 2`")]
    [InlineData("web_1.a:b", "`understudy vm set web_1.a:b --cpus 2`")]
    [InlineData("my web", "`understudy vm set 'my web' --cpus 2`")]
    [InlineData("o'brien", "`understudy vm set 'o'\\''brien' --cpus 2`")]
    [InlineData("$(reboot)", "`understudy vm set '$(reboot)' --cpus 2`")]
    [InlineData("服务器", "`understudy vm set '服务器' --cpus 2`")]
    [InlineData("", "`understudy vm set '' --cpus 2`")]
    [InlineData("-rf", "`understudy vm set --cpus 2 -- -rf`")]
    public void A_command_is_written_as_a_shell_takes_it(string name, string command) =>
        Assert.Equal(command, Typed.Command("vm set", name, "--cpus 2"));

    /// <summary>Of every error that is told a VM's or a network's name.</summary>
    [Fact]
    public void Commands_in_errors_can_be_pasted_whatever_the_vm_is_called()
    {
        int commands = 0;
        foreach (MethodInfo method in typeof(Errors).GetMethods(BindingFlags.Public | BindingFlags.Static).Where(method => method.ReturnType == typeof(ErrorInfo) && method.GetParameters().Length > 0))
        {
            ErrorInfo error = (ErrorInfo)method.Invoke(null, [.. method.GetParameters().Select(Sample)])!; // all are errors
            foreach (Match found in Command().Matches($"{error.Why} {error.Next}"))
            {
                commands += found.Value.Contains("web", StringComparison.Ordinal) ? 1 : 0;
                Assert.DoesNotContain(Odd, found.Value, StringComparison.Ordinal);
            }
        }

        Assert.True(commands > 15, $"{commands} commands with a name");
    }

    [Fact]
    public void Refusals_of_a_state_name_commands_that_can_be_pasted()
    {
        VmSituation vm = new() { Vm = Odd, State = ProtectionState.Protected, Target = "beta" };
        ErrorInfo refused = Assert.IsType<Decision.Refuse>(LifeCycle.Decide(vm, VmCommand.Resume)).Error;

        Assert.Equal($"See {Typed.Command("vm show", Odd)}.", refused.Next);
    }

    /// <summary>A sentence that begins with a name would begin with another one.</summary>
    [Fact]
    public void Names_keep_their_case_at_the_beginning_of_a_sentence()
    {
        DiscoveredVm vm = new(new Blocks.Identity.VmId(Guid.NewGuid()), "my web", VmPower.Off, 1, 1, "bios", "pc-q35-10.1", true, true, false, [], []);
        HostFacts facts = new("beta", "0.1.0", null, "9.0.0", "7.2.22", true, 4, 16L << 30, 8L << 30, ["pc-q35-7.2"], [], new("/r", 1, 1, null), new("/s", 1, 1, null));
        ErrorInfo[] errors =
        [
            .. VmChecks.Evaluate(vm, "alpha", "beta", facts, [], "my-web", null).Select(finding => finding.Refusal).OfType<ErrorInfo>(),
            VmChecks.Excluded(vm, ["vdx"])!, // it has no such disk
            HardwareChecks.Evaluate(null, 1L << 50, "beta", facts, null)!, // it has not that much
            LifeCycle.Decide(new VmSituation { Vm = "my web", State = ProtectionState.TargetFull, Target = "beta" }, VmCommand.PlannedFailover) is Decision.Refuse refused ? refused.Error : Errors.NoToken,
        ];

        Assert.True(errors.Length >= 6, $"{errors.Length} errors");
        Assert.All(errors, error => Assert.DoesNotMatch("My web|Beta", error.ToString()));
    }

    private static object? Sample(ParameterInfo parameter) => parameter.ParameterType switch
    {
        var type when type == typeof(string) => parameter.Name is "vm" or "network" ? Odd : "x",
        var type when type == typeof(IEnumerable<string>) => new[] { "x" },
        var type when type == typeof(CheckResult) => new CheckResult("x", CheckLevel.Error, "x", "Do y."),
        var type => Activator.CreateInstance(type),
    };

    [GeneratedRegex("`[^`]*`")]
    private static partial Regex Command();
}
