using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.Vault.Protection;

/// <summary>What each side is told of a protection, whenever it is told: one place, so that making and changing never differ.</summary>
internal static class SideSettings
{
    public static SourceSettings OfSource(Policy policy) =>
        new(policy.Frequency, policy.Compression, policy.GuardStartsAfter, policy.IsolatedSource);

    public static ReplicaSettings OfTarget(ProtectedVm vm, Policy policy) =>
        new(policy.Retention, new RecoverySettings(vm.Nics, vm.Cpus, vm.MemoryBytes, policy.BranchDays, policy.GuardStartsAfter));
}
