using static Understudy.Model.ErrorKind;

namespace Understudy.Model;

/// <summary>What can stand in the way of a first copy from a seed. Nothing has been made when one of these is said.</summary>
public static partial class Errors
{
    public static ErrorInfo SeedMissing(string path, string why) => new(Refused, "seed-missing", $"There is no seed at {path} on this host",
        Sentence(why), "Give the full path as the target host sees it; see that the medium is mounted.");

    public static ErrorInfo SeedUnusable(string path, string why) => new(Refused, "seed-unusable", $"{path} cannot be begun with",
        Sentence(why), "Give an image that `qemu-img info` reads, a block device, or the folder of an old replica; or protect without --seed.");

    public static ErrorInfo SeedInUse(string path) => new(Refused, "seed-in-use", $"{path} is being written by another program",
        "A VM or a tool has it open: what is read of it now would be half old and half new.", "Shut that VM down or end that tool first, or copy the image and give the copy.");

    public static ErrorInfo SeedDiskUnknown(string disk, string vm) => new(WrongUse, "seed-disk-unknown", $"{vm} has no disk {Quote(disk)} that takes part",
        "A seed is given for a disk by its device at the guest.", $"See {Typed.Command("vm show", vm)}.");
}
