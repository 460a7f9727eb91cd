using static Understudy.Model.ErrorKind;

namespace Understudy.Model;

/// <summary>What can be said no to about hosts, their agents and the vault itself.</summary>
public static partial class Errors
{
    // --- versions and identities ---

    /// <param name="who">The side that speaks otherwise, as the subject of a sentence.</param>
    public static ErrorInfo VersionMismatch(string who, string theirs, string ours) => new(Failed, "version-mismatch", $"{who} speaks another version of the control protocol",
        $"It offers {Quote(theirs)}, and {Quote(ours)} is spoken here.", "Bring vault, agent and command line to the same version.");

    public static ErrorInfo CertificateOfAnotherVault(string who) => new(NotAllowed, "certificate-foreign", $"{who} shows a certificate of another vault",
        "It was not signed by the authority that this side has joined.", "See that the address is right. A host that changes its vault leaves the old one first: `understudy agent leave`.");

    public static ErrorInfo CertificateName { get; } = new(Failed, "certificate-name", "The vault's certificate has another name",
        "It is this vault's, but not for the address that was used.", "Start the vault with `--url` for this address, or use one it is known by.");

    public static ErrorInfo CertificateOutOfDate(string why) => new(Failed, "certificate-out-of-date", "The certificate is not good now",
        Sentence(why), "See to the clocks of both sides; an agent that was away for months joins again with a new key.");

    public static ErrorInfo HostRemoved { get; } = new(NotAllowed, "host-removed", "This host has been removed from the vault",
        "Its certificate is no longer accepted, by the vault and by the other hosts.", "Clean up with `understudy agent leave`; to come back, join with a new key.");

    public static ErrorInfo HostInVault(string host) => new(Refused, "host-in-vault", $"{host} still belongs to its vault, which is connected",
        "The vault would go on counting on it.", $"Remove it there first: `understudy host remove {host}`.");

    public static ErrorInfo HostHolds(string folder) => new(Refused, "host-holds", $"{folder} holds what is protected here",
        "Only an agent that runs can end that: it knows the hypervisor.", "Start it (`understudy agent`) and say `understudy agent leave` while it runs; then stop it and say it again.");

    public static ErrorInfo ProxyUnusable(string host, string problem) => new(Failed, "proxy-unusable", $"{host} went back to the way it had to its vault",
        Sentence(problem), "See that the proxy runs, and that it may CONNECT to the vault's name and port; then try again.");

    public static ErrorInfo VaultNotThere(string urls, string problem) => new(Failed, "vault-not-there", $"The vault does not answer at {urls}",
        $"{Sentence(problem)} The address the agent had is kept.", "Give the address at which `understudy server` runs now; `--untried` takes this one all the same, for a vault that is not up yet.");

    public static ErrorInfo SystemRefused(string why, string next) => new(Failed, "system-refused", "This machine does not let the program do that", Sentence(why), next);

    // --- without the vault ---
    public static ErrorInfo AgentNotRunning(string socket, string why) => new(Failed, "agent-not-running", $"No agent answers at {socket}",
        Sentence(why), "Start it (`understudy agent`), as root; without it, `understudy point export --replica FOLDER` still reads a replica.");

    public static ErrorInfo VaultIsThere(string vm) => new(Refused, "vault-is-there", "The vault is connected and takes this command itself",
        $"There it is a job with its history, and no other job works on {vm} meanwhile.", "Give it to the vault (`understudy vm --help`); when the vault does not do its work, add --despite-vault.");

    public static ErrorInfo UnknownReplica(string vm) => new(NoSuchThing, "replica-not-here", $"This host holds no replica of {Quote(vm)}",
        "No replica here has that VM name, target name or id.", "See `understudy local list`.");

    public static ErrorInfo NoBranchHere(string vm, string branch) => new(NoSuchThing, "branch-not-here", $"{vm} has no branch {Quote(branch)} here",
        "It may have expired, or been deleted.", $"See {Typed.Command("local points", vm)}.");

    public static ErrorInfo NoTestHere(string vm, string test) => new(NoSuchThing, "test-not-here", $"{vm} has no test {Quote(test)} here",
        "No test of that name stands.", "See `understudy local list`.");

    public static ErrorInfo ReplicaHeld(string folder, string by) => new(Refused, "replica-held", $"The replica in {folder} is in use",
        $"{by} has it.", "Use `understudy local export` while an agent runs, or stop the agent first.");

    public static ErrorInfo NoReplicaIn(string folder, string why) => new(NoSuchThing, "replica-folder-unusable", $"{folder} holds no replica that can be read",
        Sentence(why), "Name the folder that holds the folders `replica` and `host`: REPLICAS/VM-ID.");

    // --- copies of the vault ---
    public static ErrorInfo VaultCopyUnusable(string file, string why) => new(Failed, "vault-copy-unusable", $"{Quote(file)} cannot be restored from",
        Sentence(why), "Take the other copy on that host, or one of another host.");

    public static ErrorInfo RecoveryKeyWrong(string file) => new(Refused, "recovery-key-wrong", $"The recovery key does not open {Quote(file)}",
        "The copy was made with another key.", "Find the `recovery.key` that the vault's first start made.");

    public static ErrorInfo VaultFolderUsed(string folder) => new(Refused, "vault-folder-used", $"{folder} is not empty",
        "A restore never writes over what is there: it could be the only copy.", "Name another folder with --data, or move that one away.");

    public static ErrorInfo VaultRestored(DateTimeOffset takenAt) => new(Failed, "vault-restored", "The vault was restored while this job was under way",
        $"The copy was taken at {takenAt:yyyy-MM-dd HH:mm:ss} UTC; what the job did after that is not known here.",
        "Look at the VM: what its hosts report is shown. Retry the job, or give the command again, if it is still wanted.");

    public static ErrorInfo VaultOutdated(string url) => new(Refused, "vault-outdated", $"The vault at {url} is an older one",
        "It has been restored elsewhere since, and this host has been connected to the restored one.", "Stop the older vault; it must not give orders any more.");
}
