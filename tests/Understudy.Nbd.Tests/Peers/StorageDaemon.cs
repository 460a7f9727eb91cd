namespace Understudy.Nbd.Tests.Peers;

/// <summary>qemu-storage-daemon with one export "vda".</summary>
internal static class StorageDaemon
{
    public static Task<PeerProcess> ExportFileAsync(string socket, string file) =>
        ExportAsync(socket, $"driver=file,node-name=below,filename={file}");

    /// <summary>As a recovered VM's disk is: the daemon asks our server, and waits for it when it is away.</summary>
    public static Task<PeerProcess> ExportViewAsync(string socket, string viewSocket, string export, int reconnectSeconds) => ExportAsync(
        socket,
        $"driver=nbd,node-name=below,server.type=unix,server.path={viewSocket},export={export},reconnect-delay={reconnectSeconds},read-only=on");

    private static Task<PeerProcess> ExportAsync(string socket, string node) => PeerProcess.ServeAsync(
        socket,
        "qemu-storage-daemon",
        "--blockdev", node,
        "--blockdev", "driver=raw,node-name=disk,file=below,read-only=on",
        "--nbd-server", $"addr.type=unix,addr.path={socket},max-connections=0",
        "--export", "type=nbd,id=vda,node-name=disk,name=vda,writable=off");
}
