using Understudy.Blocks.Identity;
using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

public sealed partial class LibvirtHypervisor
{
    public async ValueTask<StartTrialOutcome> TryStartAsync(VmId vm, string name, CancellationToken cancellationToken) =>
        await _connection.CallAsync($"try to start {name}", _settings.StartLimit, connect => TryStart(connect, vm, name), cancellationToken);

    private static StartTrialOutcome TryStart(ConnectHandle connect, VmId vm, string name)
    {
        string xml = TrialXml.For(vm.ToString(), name, HasKvm(connect, ReadCapabilities(connect)));
        using DomainHandle domain = LibvirtLibrary.DomainCreateXml(connect, xml, LibvirtConstants.StartPaused | LibvirtConstants.StartAutodestroy);
        if (domain.IsInvalid)
        {
            LibvirtException reason = LibvirtException.Last();
            return reason.FromConnection ? throw reason : new StartTrialOutcome.Refused(reason.Message);
        }

        NativeResult.Check(LibvirtLibrary.DomainDestroy(domain, 0));
        return new StartTrialOutcome.Started();
    }
}
