using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine;

/// <summary>What a command that starts a VM is given for this run only; the stored settings stay (CFG-6).</summary>
internal static class RunOptions
{
    public static Option<string?> Name { get; } = new("--name") { Description = "For this run: the VM's name there (of a test: the copy's)" };

    public static Option<string[]> Nic { get; } = new("--nic")
    {
        Description = "For this run, one NIC: MAC=NETWORK or MAC=none, in a test also MAC=isolated; then perhaps ,mac=new or ,mac=ADDRESS or ,mac=keep",
        DefaultValueFactory = _ => [],
    };

    public static Option<int?> Cpus { get; } = new("--cpus") { Description = "For this run: CPUs (0: as in the point)" };

    public static Option<string?> Memory { get; } = new("--memory") { Description = "For this run: memory, e.g. 4GiB (0: as in the point)" };

    public static Symbol[] All { get; } = [Name, Nic, Cpus, Memory];

    /// <summary>Null when nothing is said.</summary>
    public static RunDto? Read(CommandContext c)
    {
        NicChoiceDto[] nics = [.. c.Get(Nic)!.Select(NicChoiceWords.Read)]; // has a default
        RunDto run = new(c.Get(Name), nics.Length == 0 ? null : nics, c.Get(Cpus), ReadMemory(c.Get(Memory)));
        return run == new RunDto() ? null : run;
    }

    public static long? ReadMemory(string? text) => text is null ? null
        : Sizes.TryParse(text, out long bytes) ? bytes
        : throw new ErrorException(Errors.BadValue("--memory", text, Sizes.WhyNot(text)));
}
