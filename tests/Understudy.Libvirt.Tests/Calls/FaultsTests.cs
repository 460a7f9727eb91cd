using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Native;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Calls;

public sealed class FaultsTests
{
    [Theory]
    [InlineData(42, 10, "Domain not found", HypervisorFault.NoSuchVm)]
    [InlineData(103, 0, "no domain checkpoint with matching name 'x'", HypervisorFault.TrackingLost)]
    [InlineData(109, 0, "checkpoint inconsistent: missing or broken bitmap 'x' for disk 'vda'", HypervisorFault.TrackingLost)]
    [InlineData(55, 0, "Requested operation is not valid: missing or broken bitmap", HypervisorFault.TrackingLost)]
    [InlineData(55, 0, "Requested operation is not valid: domain is not running", HypervisorFault.NotRunning)]
    [InlineData(84, 0, "Operation not supported: cannot perform disk backup for inactive domain", HypervisorFault.NotRunning)]
    [InlineData(68, 0, "Timed out during operation: cannot acquire state change lock", HypervisorFault.Busy)]
    [InlineData(84, 0, "disk 'vda' has a blockjob assigned", HypervisorFault.Busy)]
    [InlineData(83, 0, "disk 'vda' already in active block job", HypervisorFault.Busy)]
    [InlineData(70, 0, "Hook script execution failed: fenced", HypervisorFault.Refused)]
    [InlineData(67, 0, "checkpoint for disk vda unsupported for storage type raw", HypervisorFault.Refused)]
    [InlineData(38, 7, "Cannot recv data: Connection reset by peer", HypervisorFault.Unreachable)]
    [InlineData(38, 10, "Unable to read from monitor: Connection reset by peer", HypervisorFault.NotRunning)]
    [InlineData(1, 0, "internal error: backup job data missing", HypervisorFault.Refused)]
    [InlineData(1, 0, "internal error: something else", HypervisorFault.Refused)]
    public void Errors_become_faults_and_keep_libvirts_words(int code, int domain, string text, HypervisorFault fault)
    {
        HypervisorException mapped = Faults.From(new LibvirtException((LibvirtErrorCode)code, domain, text), "begin the backup of VM x");

        Assert.Equal(fault, mapped.Fault);
        Assert.Equal($"could not begin the backup of VM x: {text}", mapped.Message);
    }

    [Theory]
    [InlineData(1, 0, VmRunState.Running)]
    [InlineData(3, 1, VmRunState.Paused)]
    [InlineData(3, 5, VmRunState.PausedIoError)]
    [InlineData(4, 0, VmRunState.ShuttingDown)]
    [InlineData(5, 3, VmRunState.Off)]
    [InlineData(6, 0, VmRunState.Crashed)]
    public void States_and_their_reasons_are_told_apart(int state, int reason, VmRunState expected) =>
        Assert.Equal(expected, LibvirtHypervisor.ToRunState((LibvirtDomainState)state, reason));
}
