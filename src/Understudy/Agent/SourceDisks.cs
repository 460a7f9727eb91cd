using Understudy.Model;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;

namespace Understudy.Agent;

/// <summary>The disks that a protection begins with.</summary>
internal static class SourceDisks
{
    /// <param name="definition">What the VM's next start would use.</param>
    /// <exception cref="ErrorException">A disk cannot be replicated and is not excluded, or there is none.</exception>
    public static IReadOnlyList<DiskNow> Of(VmFacts vm, IReadOnlyCollection<string> excluded, string definition)
    {
        DiskChoice choice = DiskChoice.Of(vm, excluded, definition);
        return choice switch
        {
            { Unsuitable: [var disk, ..] } => throw Unsuitable(vm, disk.Why, disk.Remedy),
            { Disks: [] } => throw Unsuitable(vm, "it has no disk", "There is nothing to replicate."),
            _ => choice.Disks,
        };
    }

    /// <summary>One that cannot be replicated is left out and said, as one that comes later would be.</summary>
    /// <exception cref="ErrorException">There is none left.</exception>
    public static void RequireAny(VmFacts vm, IReadOnlyCollection<string> excluded, string definition)
    {
        DiskChoice choice = DiskChoice.Of(vm, excluded, definition);
        if (choice.Disks.Count == 0)
        {
            throw choice.Unsuitable is [var disk, ..]
                ? Unsuitable(vm, disk.Why, disk.Remedy)
                : Unsuitable(vm, "no disk would be left to replicate", "Exclude fewer disks, or stop protecting the VM.");
        }
    }

    private static ErrorException Unsuitable(VmFacts vm, string why, string remedy) =>
        new(Errors.VmUnsuitable(vm.Name, new CheckResult("disks", CheckLevel.Error, why, remedy)));
}
