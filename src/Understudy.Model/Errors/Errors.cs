using Understudy.Blocks.Identity;
using static Understudy.Model.ErrorKind;

namespace Understudy.Model;

/// <summary>Every error of the control plane, in one place (docs/operations/errors.md lists them for users).</summary>
public static partial class Errors
{
    // --- no such thing ---
    public static ErrorInfo UnknownVm(string vm) => new(NoSuchThing, "vm-unknown", $"There is no VM {Quote(vm)}",
        "No connected host has reported a VM of that name or id.", "See `understudy vm list`; a host that is offline shows its VMs as last seen.");

    public static ErrorInfo NotProtected(string vm) => new(Refused, "vm-not-protected", $"{vm} is not protected",
        "This command needs a replica.", $"Protect it: {Typed.Command("vm protect", vm, "--to HOST")}.");

    public static ErrorInfo NothingSelected(string selection) => new(NoSuchThing, "nothing-selected", $"No VM is meant by {Quote(selection)}",
        "No VM that is known here, and that the command could be for, has such a name or tag; a host may hide some.", "See `understudy vm list`, which takes the same rule, and `understudy host show`.");

    public static ErrorInfo UnknownHost(string host) => new(NoSuchThing, "host-unknown", $"There is no host {Quote(host)}",
        "No host of that name or id has joined.", "See `understudy host list`, or join it with a registration key.");

    public static ErrorInfo UnknownSite(string site) => new(NoSuchThing, "site-unknown", $"There is no site {Quote(site)}",
        "No site of that name exists.", "See `understudy site list`, or add it: `understudy site add NAME`.");

    public static ErrorInfo UnknownPolicy(string policy) => new(NoSuchThing, "policy-unknown", $"There is no policy {Quote(policy)}",
        "No policy of that name exists.", "See `understudy policy list`, or make it with `understudy policy set`.");

    public static ErrorInfo UnknownJob(string job) => new(NoSuchThing, "job-unknown", $"There is no job {job}",
        "No job has that number.", "See `understudy job list`.");

    public static ErrorInfo UnknownPoint(string vm, string point) => new(NoSuchThing, "point-unknown", $"{vm} has no recovery point {Quote(point)}",
        "No listed point has that id, time or rule; it may have left the retention window.", $"See {Typed.Command("point list", vm)}.");

    public static ErrorInfo UnknownMapping(string network) => new(NoSuchThing, "mapping-unknown", $"Network {Quote(network)} is not mapped",
        "There is no mapping to remove.", "See `understudy network list`.");

    public static ErrorInfo UnknownNetwork(string host, string network) => new(NoSuchThing, "network-unknown", $"{host} has no network {Quote(network)}",
        "No agent there reports a network of that name.", "See `understudy network list`, or make it at the host.");

    public static ErrorInfo NotFound(string path) => new(NoSuchThing, "not-found", $"There is nothing at {path}",
        "The address is no part of the API.", "See /openapi/v1.json.");

    // --- wrong use ---
    public static ErrorInfo AmbiguousVm(string vm, IEnumerable<string> hosts) => new(WrongUse, "vm-ambiguous", $"More than one VM is called {Quote(vm)}",
        $"It is on {string.Join(", ", hosts)}.", "Name it by its id.");

    public static ErrorInfo AmbiguousTarget(string site, IEnumerable<string> hosts) => new(WrongUse, "target-ambiguous", $"Site {Quote(site)} has more than one host",
        $"It has {string.Join(", ", hosts)}.", "Name the host: `--to HOST`.");

    public static ErrorInfo BadFrequency(string value) => new(WrongUse, "frequency-out-of-range", $"The frequency {value} cannot be used",
        "Periodic mode takes 15 s to 24 h.", "Give for example 30s, 5min or 1h.");

    public static ErrorInfo BadRetention(string value) => new(WrongUse, "retention-out-of-range", $"The retention {value} cannot be used",
        "Points are kept from 0 (the newest only) to 30 days.", "Give for example 0, 24h or 7d.");

    public static ErrorInfo BadDuration(string field, string value) => new(WrongUse, "duration-unreadable", $"{field} {Quote(value)} cannot be used as a duration",
        Sentence(Durations.WhyNot(value)), "Give for example 30s, 5min, 24h or 7d.");

    public static ErrorInfo BadValue(string field, string value, string why) => new(WrongUse, "value-unusable", $"{field} {Quote(value)} cannot be used",
        Sentence(why), "Give another value.");

    public static ErrorInfo MissingValue(string field) => new(WrongUse, "value-missing", $"{field} is missing",
        "The request cannot be understood without it.", $"Give {field}.");

    public static ErrorInfo BadRequest(string why) => new(WrongUse, "request-unreadable", "The request cannot be read",
        Sentence(why), "See /openapi/v1.json.");

    public static ErrorInfo BadName(string thing, string name) => new(WrongUse, "name-unlawful", $"{Quote(name)} is no name for a {thing}",
        "Names have 1 to 63 letters, digits and hyphens, and begin and end with a letter or digit.", name.Any(char.IsAsciiLetterOrDigit) ? $"{Quote(VmNames.Propose(name))} would do." : "Give another name.");

    public static ErrorInfo LaterPolicyField(string field, string why) => new(WrongUse, "policy-field-not-offered", $"The policy field {Quote(field)} is not offered by this version",
        Sentence(why), "Leave the field out.");

    public static ErrorInfo UnknownPolicyField(string field) => new(WrongUse, "policy-field-unknown", $"A policy has no field {Quote(field)}",
        "It may be misspelt.", "See `understudy policy set --help`, or /openapi/v1.json.");

    public static ErrorInfo PolicyContradicts(string fields, string why) => new(WrongUse, "policy-contradicts", $"{fields} contradict each other",
        Sentence(why), "Change one of them.");

    public static ErrorInfo SameHost(string vm, string host) => new(WrongUse, "target-is-source", $"{vm} runs on {host}",
        "A replica on the same host would die with it.", "Choose a host of another site.");

    public static ErrorInfo WrongConfirmation(string word, string? given) => new(Refused, "confirmation-wrong",
        given is null ? "The confirmation word is missing" : $"{Quote(given)} is not the confirmation word",
        "This command cannot be taken back, and --yes does not stand for the word.", $"Give `--confirm {(word.Contains(' ', StringComparison.Ordinal) ? $"\"{word}\"" : word)}`.");

    // --- refused ---
    public static ErrorInfo WouldRunNowhere(string vm, string source) => new(Refused, "source-away", $"{vm} would run nowhere",
        $"A cancel ends it at its target and gives it back to {source}, which is not connected.",
        $"Wait until {source} is back, or cancel all the same: `--confirm {Confirmation.Offline}`.");

    public static ErrorInfo AlreadyProtected(string vm, string target) => new(Refused, "vm-already-protected", $"{vm} is protected already",
        $"Its replica is at {target}.", $"See {Typed.Command("vm show", vm)}; {Typed.Command("vm unprotect", vm)} ends it.");

    public static ErrorInfo NameTaken(string host, string name, string proposal) => new(Refused, "name-taken", $"{host} has a VM called {name} already",
        "Two VMs of one name cannot be on one host.", $"Choose another: `--name {proposal}`.");

    public static ErrorInfo NoSpace(string host, long neededBytes, long freeBytes) => new(Refused, "no-space", $"{host} has not enough space for the replica",
        $"It needs {Sizes.Format(neededBytes)} and {Sizes.Format(freeBytes)} are free.", "Free space there, or choose another host.");

    public static ErrorInfo SavedState(string vm) => new(Refused, "saved-state", $"{Quote(vm)} has a saved state",
        "What its guest had not written yet is in that, and not on its disks: the target would not have it.", $"Start it: `virsh restore FILE` where it was saved to a file. To give a managed state up, `{Typed.Line("virsh managedsave-remove", vm)}` first.");

    public static ErrorInfo NoMemory(string host, long neededBytes, long freeBytes) => new(Refused, "no-memory", $"{host} has not enough memory for the VM",
        $"It needs {Sizes.Format(neededBytes)} and {Sizes.Format(freeBytes)} are free.", "Free memory there, or give the VM less at the target: `understudy vm set VM --memory`.");

    public static ErrorInfo DiskCopying(string vm, string disk, long doneBytes, long totalBytes) => new(Refused, "disk-copying", $"Disk {disk} of {vm} is still being copied",
        $"{Sizes.Format(doneBytes)} of {Sizes.Format(totalBytes)} are at the target, and no recovery point has the disk before it is whole.",
        $"Wait for it ({Typed.Command("vm show", vm)}), or exclude the disk: {Typed.Command("vm set", vm, $"--exclude {disk}")}.");

    public static ErrorInfo NetworkUnmapped(string network, string from, string to) => new(Refused, "network-unmapped", $"Network {Quote(network)} has no place at site {to}",
        "A NIC of the VM is on it and the policy uses the network map.", $"Map it: {Typed.Command("network map", network, $"--to NETWORK --from-site {from} --to-site {to}")}, or name a network for the NIC.");

    public static ErrorInfo NetworkInactive(string host, string network) => new(Refused, "network-inactive", $"Network {Quote(network)} of {host} is not active",
        "A VM with a NIC on it cannot be started.", $"Start it there: `{Typed.Line("virsh net-start", network)}` (and `net-autostart`), or choose another network.");

    public static ErrorInfo HostOffline(string host) => new(Refused, "host-offline", $"{host} is not connected",
        "Its agent has no connection to the vault.", "Start the agent there and see its log; the link to the vault is dialled by the agent.");

    public static ErrorInfo InMaintenance(string host) => new(Refused, "in-maintenance", $"{host} is in maintenance already",
        "One at a time: its VMs rest for the one that is on.", $"`understudy host maintenance {host} --end` ends it.");

    public static ErrorInfo NotInMaintenance(string host) => new(Refused, "not-in-maintenance", $"{host} is in no maintenance",
        "It was never announced, or is over.", $"`understudy host maintenance {host}` announces one.");

    public static ErrorInfo VmBusy(string vm, JobId job, string jobName) => new(Refused, "vm-busy", $"{vm} is in another operation",
        $"Job {job}, {jobName}, is not finished.", $"Wait for it: `understudy job wait {job}`.");

    public static ErrorInfo NotNow(string vm, string command, ProtectionState state, string why, string next) => new(Refused, "state-refuses",
        $"{vm} cannot take {Quote(command)} in state {Quote(state.Word())}", Sentence(why), next);

    public static ErrorInfo VmUnsuitable(string vm, CheckResult check) => new(Refused, "vm-unsuitable", $"{vm} cannot be protected",
        Sentence(check.Finding), check.Remedy ?? "See `understudy vm verify`.");

    public static ErrorInfo HostUnsuitable(string host, CheckResult check) => new(Refused, "host-unsuitable", $"{host} cannot hold a replica",
        Sentence(check.Finding), check.Remedy ?? "See `understudy host check`.");

    public static ErrorInfo InUse(string thing, string name, string by) => new(Refused, "in-use", $"The {thing} {name} is in use",
        Sentence($"It is used by {by}"), "End that use first.");

    public static ErrorInfo Exists(string thing, string name) => new(Refused, "exists-already", $"There is a {thing} {name} already",
        "Names are used once.", "Choose another name.");

    public static ErrorInfo JobNotWaiting(JobId job, string name) => new(Refused, "job-not-waiting", $"Job {job}, {name}, does not wait to be completed",
        "Only a test that waits for test completion, or a failover that waits for action, can be.", $"See `understudy job show {job}`.");

    public static ErrorInfo JobNotFailed(JobId job, string name) => new(Refused, "job-not-failed", $"Job {job}, {name}, cannot be retried",
        "Only a failed or cancelled job can.", $"See `understudy job show {job}`.");

    public static ErrorInfo JobNotCancellable(JobId job, string name, string why) => new(Refused, "job-not-cancellable", $"Job {job}, {name}, cannot be cancelled",
        Sentence(why), $"See `understudy job show {job}`.");

    /// <param name="why">A sentence.</param>
    public static ErrorInfo JobOutdated(JobId job, string name, string why) => new(Refused, "job-outdated", $"Job {job}, {name}, cannot be retried",
        Sentence(why), "Give the command again.");

    // --- ownership ---
    public static ErrorInfo TokenInTransit(string vm, string target) => new(Refused, "token-in-transit", $"{vm} is in transit to {target}",
        "It was offered, and only that host can say whether it took it.",
        $"Retry the job when {target} is back; or decide by hand on one side: {Typed.Command("local claim", vm, "--confirm FAILOVER")}.");

    public static ErrorInfo PointGone(string vm, string point) => new(NoSuchThing, "point-gone", $"Point {point} of {vm} is gone",
        "It was listed when the job was made, and has left the retention window or was merged since.", $"Choose another: {Typed.Command("point list", vm)}.");

    public static ErrorInfo BranchUnknown(string vm, string branch) => new(NoSuchThing, "branch-unknown", $"{vm} has no branch {Quote(branch)}",
        "It may have expired, or been deleted.", $"See {Typed.Command("point list", vm)}.");

    public static ErrorInfo MountUnknown(string vm, string mount) => new(NoSuchThing, "mount-unknown", $"{vm} has no point out as {Quote(mount)}",
        "It may have been taken back already.", $"See {Typed.Command("vm show", vm)}.");

    public static ErrorInfo BranchElsewhere(string vm, string branch, string host) => new(Refused, "branch-at-source", $"Branch {branch} of {vm} is the old disks at {host}",
        "They are ordinary images there, which no replica reads.", "Use them at that host, or delete the branch by name.");

    public static ErrorInfo BranchInUse(string branch, IEnumerable<string> by) => new(Refused, "branch-in-use", $"Branch {branch} is in use",
        $"On it stand {string.Join(", ", by)}.", "End that use first.");

    public static ErrorInfo OldDisksNeeded(string vm) => new(Refused, "not-committed", $"The old disks of {vm} are what a cancel gives it back to",
        "Its failover is not committed; without them a cancel, by hand or by a countdown, would leave it running nowhere.", $"Commit first: {Typed.Command("vm commit", vm)}.");

    public static ErrorInfo GuardOff(string host, string problem) => new(Refused, "start-guard-off", $"The start guard of {host} is not in force",
        $"{problem}. While the VM is moved nothing would keep it from being started there.", $"Mend that, see it with `understudy host check {host}`, and say it again.");

    public static ErrorInfo StayUnsaid(string vm, string target) => new(Refused, "stay-unsaid", $"{vm} runs at {target}, and nobody has said that it is to stay there",
        "Without the protection it becomes an ordinary VM there; its old source stays blocked and is listed as a branch until it is deleted by name.",
        $"Say so: {Typed.Command("vm unprotect", vm, "--keep-at-target")}.");

    public static ErrorInfo OldDisksThere(string vm, string host) => new(Refused, "old-disks-there", $"{host} still has the old disks of {vm}",
        "They are kept as a branch and block the VM there.", $"Delete them by name first: {Typed.Command("point delete", vm, "BRANCH")}.");

    // --- registration ---
    public static ErrorInfo KeyUnknown { get; } = new(NotAllowed, "key-unknown", "The registration key is not known here",
        "It was made by another vault, or changed.", "Make one with `understudy site key SITE`.");

    public static ErrorInfo KeyUsed(string host) => new(NotAllowed, "key-used", "The registration key has been used",
        $"A key joins one host; this one joined {host}.", "Make another with `understudy site key SITE`.");

    public static ErrorInfo KeyExpired(DateTimeOffset at) => new(NotAllowed, "key-expired", "The registration key has expired",
        $"It was good until {at:yyyy-MM-dd HH:mm} UTC.", "Make another with `understudy site key SITE`.");

    public static ErrorInfo BadCertificateRequest(string why) => new(WrongUse, "certificate-request-unusable", "The certificate request cannot be signed",
        Sentence(why), "Join again with the agent of this version.");

    public static ErrorInfo NoToken { get; } = new(NotAllowed, "token-missing", "The request has no valid token",
        "The API takes the bearer token of a user.", "Give `--token`, or read admin.token in the vault's data folder.");

    public static ErrorInfo NoAgentCertificate { get; } = new(NotAllowed, "certificate-missing", "The request has no certificate of an agent",
        "This address is for agents, which show the certificate they got when they joined.", "Join the host with a registration key.");

    // --- failed ---
    public static ErrorInfo VaultUnreachable(string url, string why) => new(Failed, "vault-unreachable", $"The vault at {url} does not answer",
        Sentence(why), "See that `understudy server` runs and that the address is right.");

    public static ErrorInfo HostWentAway(string host, TimeSpan waited) => new(Failed, "host-went-away", $"{host} did not come back",
        $"The step waited {Durations.Format(waited)} for its agent.", "Start the agent there, then retry the job.");

    public static ErrorInfo HostSilent(string host, TimeSpan waited) => new(TimedOut, "host-silent", $"{host} did not answer",
        $"Its agent is connected and took more than {Durations.Format(waited)}.", "Try again; see the agent's log.");

    public static ErrorInfo Internal(string what) => new(Failed, "internal", "The vault ran into a fault of its own",
        Sentence(what), "See the vault's log, and report it.");

    private static string Quote(string text) => $"'{text}'";

    private static string Sentence(string text) =>
        text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..].TrimEnd('.') + ".";
}
