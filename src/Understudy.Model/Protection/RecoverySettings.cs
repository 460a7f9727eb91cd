namespace Understudy.Model;

/// <summary>How a VM is to run at its target (CFG-6), kept there too so that it can be started without the vault.</summary>
/// <param name="Cpus">Null: as in the recovery point. Likewise the memory.</param>
/// <param name="BranchDays">How long what a cancelled failover or a changed point leaves is kept.</param>
/// <param name="GuardStartsAfter">After a boot of the target nobody may have said that the VM still is owned there: then it is
/// started after this time; null holds it.</param>
public sealed record RecoverySettings(IReadOnlyList<NicPlan> Nics, int? Cpus, long? MemoryBytes, int BranchDays, TimeSpan? GuardStartsAfter = null);
