using static Understudy.Model.ErrorKind;

namespace Understudy.Model;

/// <summary>Errors of where replicas are put.</summary>
public static partial class Errors
{
    public static ErrorInfo UnknownPool(string host, string pool) => new(NoSuchThing, "pool-unknown", $"{host} has no storage pool {Quote(pool)}",
        "No agent there reports a pool of that name.", "See `understudy storage list`, or define it at the host; 'none' is the agent's own folders.");

    public static ErrorInfo PoolUnusable(string host, string pool, string why) => new(Refused, "pool-unusable", $"Storage pool {Quote(pool)} of {host} cannot hold a replica",
        Sentence(why), "Start the pool there (`virsh pool-start`), or name one of type dir, fs or netfs.");

    public static ErrorInfo PoolStays(string vm, string pool) => new(Refused, "pool-stays", $"The replica of {vm} stays in {pool}",
        "Its base and its journal are there, and with them the disks of the recovered VM; this version does not move a replica.",
        "Move the storage below the pool; or end the protection and protect the VM anew with `--pool`.");

    public static ErrorInfo UnknownStorageMapping(string pool) => new(NoSuchThing, "storage-mapping-unknown", $"Storage pool {Quote(pool)} is not mapped",
        "There is no mapping to remove.", "See `understudy storage list`.");

    public static ErrorInfo ReplicaUnavailable(string vm, string why, string next) => new(Refused, "replica-unavailable", $"The replica of {vm} cannot be opened now",
        Sentence(why), next);

    public static ErrorInfo ReplicaLeaving(string vm) => new(Refused, "replica-leaving", $"The replica of {vm} is being removed",
        "Its protection was ended there, and that end has not come through.", "Let it go on: retry its job (`understudy job list`), then protect the VM again.");

    public static ErrorInfo ReplicaIsThere(string vm, string why) => new(Refused, "replica-there", $"The replica of {vm} is not given up",
        Sentence(why), $"To remove it with all its points: {Typed.Command("vm unprotect", vm)}.");
}
