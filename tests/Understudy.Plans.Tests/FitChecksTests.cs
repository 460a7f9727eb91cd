using Understudy.Model;

namespace Understudy.Plans.Tests;

/// <summary>REG-4: would the VM's machine start at that host? Each answer a pass, a warning or an error with what to do.</summary>
public sealed class FitChecksTests
{
    private static readonly MachineNeeds Plain = new("kvm", "x86_64", "pc-q35-7.2", null, null, true, null, null, null, null);
    private static readonly MachineNeeds Named = Plain with { CpuMode = "custom", CpuModel = "Skylake-Server", CpuXml = "<cpu/>" };
    private static readonly MachineFit Fit = new(false, null, ["bios", "efi"], true, true, CpuFit.Provided, null);

    private const string Missing = "Host CPU does not provide required features: avx512f";

    public static TheoryData<string, CheckLevel, string> Processors => new()
    {
        { "default", CheckLevel.Pass, "default model" },
        { "named", CheckLevel.Pass, "can provide Skylake-Server" },
        { "lacking", CheckLevel.Error, Missing },
        { "lacking, unchecked", CheckLevel.Warning, "check='none'" },
        { "not compared", CheckLevel.Warning, "could not be found out: not for this architecture" },
        { "host-model", CheckLevel.Pass, "EPYC-Rome" },
        { "host-passthrough", CheckLevel.Warning, "Skylake-Client at its source and EPYC-Rome at beta" },
        { "maximum", CheckLevel.Warning, "maximum" },
        { "emulated", CheckLevel.Pass, "Emulated at beta" },
    };

    [Theory]
    [MemberData(nameof(Processors))]
    public void Processor(string which, CheckLevel level, string says)
    {
        (MachineNeeds needs, MachineFit fit) = which switch
        {
            "default" => (Plain, Fit),
            "named" => (Named, Fit),
            "lacking" => (Named, Fit with { Cpu = CpuFit.Lacking, CpuProblem = Missing }),
            "lacking, unchecked" => (Named with { CpuChecked = false }, Fit with { Cpu = CpuFit.Lacking, CpuProblem = Missing }),
            "not compared" => (Named, Fit with { Cpu = CpuFit.NotCompared, CpuProblem = "not for this architecture" }),
            "emulated" => (Named, Fit with { Emulated = true, Cpu = CpuFit.NotCompared }),
            _ => (Plain with { CpuMode = which }, Fit),
        };

        AssertFound("CPU", level, says, needs, fit);
    }

    public static TheoryData<string, CheckLevel, string> Firmwares => new()
    {
        { "bios", CheckLevel.Pass, "BIOS" },
        { "files", CheckLevel.Pass, "/usr/share/OVMF/OVMF_CODE.fd is at beta" },
        { "no loader", CheckLevel.Error, "beta has no /usr/share/OVMF/OVMF_CODE.fd" },
        { "no template", CheckLevel.Error, "beta has no /usr/share/OVMF/OVMF_VARS.fd" },
        { "chosen", CheckLevel.Pass, "efi is at beta" },
        { "none to choose", CheckLevel.Error, "knows no efi firmware" },
    };

    [Fact]
    public void A_kernel_that_the_target_may_not_be_asked_for_is_known_before_anything_depends_on_it()
    {
        MachineNeeds direct = Plain with { Kernel = "/boot/vmlinuz", Initrd = "/boot/initrd.img" };

        AssertFound("kernel", CheckLevel.Error, "boots the kernel /boot/vmlinuz directly", direct, Fit with { KernelThere = false });
        AssertFound("firmware", CheckLevel.Pass, "BIOS", direct, Fit);
    }

    [Theory]
    [MemberData(nameof(Firmwares))]
    public void Firmware(string which, CheckLevel level, string says)
    {
        MachineNeeds files = Plain with { Loader = "/usr/share/OVMF/OVMF_CODE.fd", NvramTemplate = "/usr/share/OVMF/OVMF_VARS.fd" };
        MachineNeeds chosen = Plain with { Firmware = "efi" };
        (MachineNeeds needs, MachineFit fit) = which switch
        {
            "bios" => (Plain, Fit),
            "files" => (files, Fit),
            "no loader" => (files, Fit with { LoaderThere = false }),
            "no template" => (files, Fit with { NvramTemplateThere = false }),
            "chosen" => (chosen, Fit),
            _ => (chosen, Fit with { Firmwares = ["bios"] }),
        };

        AssertFound("firmware", level, says, needs, fit);
    }

    [Fact]
    public void A_machine_that_cannot_be_made_at_all_is_the_one_thing_said()
    {
        Finding found = Assert.Single(FitChecks.Evaluate("web1", "beta", Plain, Fit with { MachineProblem = "unsupported machine type" }, null, null));

        Assert.Equal(("machine", CheckLevel.Error, "vm-unsuitable"), (found.Check.Name, found.Check.Level, found.Refusal?.Code));
        Assert.Contains("pc-q35-7.2", found.Check.Finding, StringComparison.Ordinal);
    }

    private static void AssertFound(string name, CheckLevel level, string says, MachineNeeds needs, MachineFit fit)
    {
        Finding found = Assert.Single(FitChecks.Evaluate("web1", "beta", needs, fit, "Skylake-Client", "EPYC-Rome"), finding => finding.Check.Name == name);

        Assert.Equal(level, found.Check.Level);
        Assert.Contains(says, found.Check.Finding, StringComparison.Ordinal);
        Assert.Equal(level == CheckLevel.Error, found.Refusal is not null);
        Assert.Equal(level == CheckLevel.Pass, found.Check.Remedy is null);
    }
}
