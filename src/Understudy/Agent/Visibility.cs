using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Protection.Ports;

namespace Understudy.Agent;

/// <summary>
/// Which VMs of this host its vault may know of (REG-2). The host's owner says so, and the agent keeps to it: a hidden VM is
/// in nothing that leaves the host, and orders that name it are answered as for one that is not there. A VM that takes part
/// in a protection stays visible until that ends, whatever the rule says: its failover must not depend on a setting.
/// </summary>
/// <param name="takesPart">The VM is in use by a protection on this host.</param>
internal sealed class Visibility(AgentSettings settings, IVmInventory inventory, Func<VmFacts, bool> takesPart)
{
    public VmRule Rule => settings.Visible;

    /// <summary>What the vault is told of; null for nothing.</summary>
    public DiscoveredVm? Show(VmFacts vm) =>
        MeantBy(Rule, vm) ? Facts.Of(vm)
        : takesPart(vm) ? Facts.Of(vm, onlyWhileProtected: true)
        : null;

    /// <summary>For an order that names a VM of this host.</summary>
    /// <exception cref="ErrorException">There is no such VM, or it is hidden; the vault is not told which.</exception>
    public async ValueTask RequireVisibleAsync(string nameOrId, CancellationToken cancellationToken)
    {
        IReadOnlyList<VmFacts> vms = await inventory.ListVmsAsync(cancellationToken);
        if (!vms.Any(vm => (vm.Name == nameOrId || string.Equals(vm.Id.ToString(), nameOrId, StringComparison.OrdinalIgnoreCase)) && Show(vm) is not null))
        {
            throw new ErrorException(Errors.UnknownVm(nameOrId));
        }
    }

    /// <summary>What the rule makes of each VM here, for the host's owner.</summary>
    public async Task<LocalVisibility> DescribeAsync(CancellationToken cancellationToken)
    {
        try
        {
            IReadOnlyList<VmFacts> vms = await inventory.ListVmsAsync(cancellationToken);
            return new LocalVisibility(Rule.Text, Names(vm => MeantBy(Rule, vm)), Names(vm => Show(vm) is { OnlyWhileProtected: true }), Names(vm => Show(vm) is null));

            string[] Names(Func<VmFacts, bool> which) => [.. vms.Where(which).Select(vm => vm.Name).Order(StringComparer.Ordinal)];
        }
        catch (UnderstudyException)
        {
            return new LocalVisibility(Rule.Text, null, null, null);
        }
    }

    public static bool MeantBy(VmRule rule, VmFacts vm) => rule.Matches(vm.Name, vm.Tags);
}
