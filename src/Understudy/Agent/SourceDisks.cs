using Understudy.Model;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;

namespace Understudy.Agent;

/// <summary>The disks that a protection begins with.</summary>
internal static class SourceDisks
{
    /// <exception cref="ErrorException">A disk cannot be replicated and is not excluded, or there is none.</exception>
    public static IReadOnlyList<DiskNow> Of(VmFacts vm, IReadOnlyCollection<string> excluded)
    {
        DiskChoice choice = DiskChoice.Of(vm, excluded);
        return choice switch
        {
            { Unsuitable: [var disk, ..] } => throw Unsuitable(vm, disk.Why, disk.Remedy),
            { Disks: [] } => throw Unsuitable(vm, "it has no disk", "There is nothing to replicate."),
            _ => choice.Disks,
        };
    }

    private static ErrorException Unsuitable(VmFacts vm, string why, string remedy) =>
        new(Errors.VmUnsuitable(vm.Name, new CheckResult("disks", CheckLevel.Error, why, remedy)));
}
