using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.Vault.Protection;

/// <summary>What a target is told of a replica, whenever it is told: one place, so that making and changing never differ.</summary>
internal static class TargetSettings
{
    public static ReplicaSettings Of(ProtectedVm vm, Policy policy) =>
        new(policy.Retention, new RecoverySettings(vm.Nics, null, null, BranchRules.DefaultDays));
}
