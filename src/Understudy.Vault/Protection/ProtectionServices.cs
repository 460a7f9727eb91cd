using Microsoft.Extensions.DependencyInjection;
using Understudy.Vault.Jobs;
using Understudy.Vault.Jobs.Steps;
using Understudy.Vault.Protection.Commands;

namespace Understudy.Vault.Protection;

/// <summary>Protected VMs: what is known of them, what may be asked, and how it is done.</summary>
internal static class ProtectionServices
{
    public static void Add(IServiceCollection services)
    {
        services.AddSingleton<ReportBoard>().AddSingleton<BoardLoader>().AddSingleton<PolicyStore>();
        services.AddSingleton<VmView>().AddSingleton<PointFinder>().AddSingleton<BranchFinder>().AddSingleton<RpoHistory>().AddSingleton<PolicyClock>().AddSingleton<BelievedClock>();
        services.AddSingleton<HostMaintenance>().AddSingleton<MaintenanceClock>().AddSingleton<MaintenanceSteps>();
        services.AddSingleton<CommandDesk>().AddSingleton<ProtectCommand>().AddSingleton<SettingsCommand>().AddSingleton<TestCommand>();
        services.AddSingleton<ReplicationCommands>().AddSingleton<SelectionCommands>().AddSingleton<FailoverCommands>().AddSingleton<PointCommands>();
        services.AddSingleton<JobStore>().AddSingleton<JobEnd>().AddSingleton<JobRunner>();
        services.AddSingleton<StepScene>().AddSingleton<BothSides>().AddSingleton<StepExecutor>();
        services.AddSingleton<ProtectSteps>().AddSingleton<ReplicationSteps>().AddSingleton<RecoverySteps>().AddSingleton<PlannedSteps>();
        services.AddSingleton<TrySteps>().AddSingleton<ReturnSteps>().AddSingleton<PointSteps>();
    }
}
