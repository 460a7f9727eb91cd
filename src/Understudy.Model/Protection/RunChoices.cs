namespace Understudy.Model;

/// <summary>What one run at the target was given over the stored settings (CFG-6). They stay as they are; null, or a NIC that is
/// not named, is as stored.</summary>
/// <param name="Name">Of the VM at the target.</param>
/// <param name="Nics">Of the NICs that were chosen for.</param>
/// <param name="Cpus">Zero: as in the recovery point. Likewise the memory.</param>
public sealed record RunChoices(string? Name = null, IReadOnlyList<NicPlan>? Nics = null, int? Cpus = null, long? MemoryBytes = null)
{
    public static RunChoices None { get; } = new();

    /// <summary>How the VM is to run in this run.</summary>
    public ProtectedVm Over(ProtectedVm stored) => stored with
    {
        TargetName = Name ?? stored.TargetName,
        Nics = Merge(stored.Nics, Nics),
        Cpus = Cpus is { } cpus ? (cpus == 0 ? null : cpus) : stored.Cpus,
        MemoryBytes = MemoryBytes is { } memory ? (memory == 0 ? null : memory) : stored.MemoryBytes,
    };

    /// <summary>The same run goes on with these; what they do not name stays.</summary>
    public RunChoices Then(RunChoices later) => new(
        later.Name ?? Name,
        Nics is null ? later.Nics : Merge(Nics, later.Nics),
        later.Cpus ?? Cpus,
        later.MemoryBytes ?? MemoryBytes);

    private static IReadOnlyList<NicPlan> Merge(IReadOnlyList<NicPlan> plans, IReadOnlyList<NicPlan>? over) => over is null ? plans
        : [.. plans.Select(plan => Find(over, plan.Mac) ?? plan), .. over.Where(plan => Find(plans, plan.Mac) is null)];

    private static NicPlan? Find(IReadOnlyList<NicPlan> plans, string mac) =>
        plans.FirstOrDefault(plan => string.Equals(plan.Mac, mac, StringComparison.OrdinalIgnoreCase));
}
