using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

public sealed partial class LibvirtHypervisor
{
    public async ValueTask StartShallowCopyAsync(VmId vm, string targetDevice, string destinationPath, string format, CancellationToken cancellationToken)
    {
        const uint Flags = LibvirtConstants.BlockCopyShallow | LibvirtConstants.BlockCopyReuseExternal | LibvirtConstants.BlockCopyTransientJob;
        string destination = BlockJobXml.CopyDestination(destinationPath, format);
        await ChangeAsync(
            vm, $"copy disk {targetDevice}", domain => LibvirtLibrary.DomainBlockCopy(domain, targetDevice, destination, 0, 0, Flags), cancellationToken);
    }

    public async ValueTask StartActiveCommitAsync(VmId vm, string targetDevice, CancellationToken cancellationToken) =>
        await ChangeAsync(
            vm,
            $"commit disk {targetDevice}",
            domain => LibvirtLibrary.DomainBlockCommit(domain, targetDevice, null, null, 0, LibvirtConstants.BlockCommitActive),
            cancellationToken);

    public async ValueTask<BlockJobFacts?> GetBlockJobAsync(VmId vm, string targetDevice, CancellationToken cancellationToken) =>
        await _connection.OnDomainAsync(
            vm, Lane.Query, $"read the block job on disk {targetDevice}", _settings.QueryLimit, domain => ReadBlockJob(domain, targetDevice), cancellationToken);

    public async ValueTask PivotAsync(VmId vm, string targetDevice, CancellationToken cancellationToken) =>
        await _connection.OnDomainAsync(
            vm,
            Lane.Job,
            $"pivot disk {targetDevice}",
            _settings.StartLimit,
            domain => NativeResult.Check(LibvirtLibrary.DomainBlockJobAbort(domain, targetDevice, LibvirtConstants.BlockJobAbortPivot)),
            cancellationToken);

    /// <summary>No error when there is no job.</summary>
    public async ValueTask AbortBlockJobAsync(VmId vm, string targetDevice, CancellationToken cancellationToken) =>
        await ChangeAsync(vm, $"end the block job on disk {targetDevice}", domain => AbortBlockJob(domain, targetDevice), cancellationToken);

    public async ValueTask RedefineCheckpointAsync(VmId vm, string name, IReadOnlyList<string> targetDevices, CancellationToken cancellationToken)
    {
        const uint Flags = LibvirtConstants.CheckpointCreateRedefine | LibvirtConstants.CheckpointCreateRedefineValidate;
        DateTimeOffset now = _time.GetUtcNow();
        await ChangeAsync(
            vm,
            $"redefine checkpoint {name}",
            domain =>
            {
                string definition = NativeResult.Take(LibvirtLibrary.DomainGetXml(domain, LibvirtConstants.XmlSecure));
                string xml = BlockJobXml.RedefinedCheckpoint(name, now, targetDevices, definition);
                NativeResult.Check(LibvirtLibrary.CheckpointCreateXml(domain, xml, Flags)).Dispose();
                return 0;
            },
            cancellationToken);
    }

    private static unsafe BlockJobFacts? ReadBlockJob(DomainHandle domain, string targetDevice)
    {
        VirDomainBlockJobInfo info;
        if (NativeResult.Check(LibvirtLibrary.DomainGetBlockJobInfo(domain, targetDevice, &info, 0)) == 0)
        {
            return null;
        }

        bool ready = info.End > 0 && info.Current == info.End
            && DomainXml.IsMirrorReady(NativeResult.Take(LibvirtLibrary.DomainGetXml(domain, 0)), targetDevice);
        return new BlockJobFacts(ToBlockJobKind(info.Type), checked((long)info.Current), checked((long)info.End), ready);
    }

    private static int AbortBlockJob(DomainHandle domain, string targetDevice)
    {
        int result = LibvirtLibrary.DomainBlockJobAbort(domain, targetDevice, 0);
        if (result >= 0)
        {
            return result;
        }

        LibvirtException reason = LibvirtException.Last();
        return ReadBlockJob(domain, targetDevice) is null ? 0 : throw reason;
    }

    private static BlockJobKind ToBlockJobKind(int type) => type switch
    {
        1 => BlockJobKind.Pull,
        2 => BlockJobKind.Copy,
        3 => BlockJobKind.Commit,
        4 => BlockJobKind.ActiveCommit,
        5 => BlockJobKind.Backup,
        _ => BlockJobKind.Unknown,
    };
}
