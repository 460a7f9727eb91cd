using Understudy.Api.Control;
using Understudy.Blocks;
using Understudy.CommandLine;
using Understudy.Journal.Records;
using Understudy.Model;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Seeds;
using Understudy.Qemu;

namespace Understudy.Agent.Seeds;

/// <summary>
/// Looks at what a first copy is to begin with, before anything is made: what is in the way is refused by name. A seed of the
/// wrong VM or size is in nobody's way, it only saves nothing.
/// </summary>
internal sealed class SeedCheck(HostSeeds seeds, ImageTool images)
{
    private const int SectorBytes = 512;

    /// <returns>The seed of each disk that has one, and the same in sentences.</returns>
    /// <exception cref="ErrorException">One of them cannot be begun with.</exception>
    public async Task<(IReadOnlyList<SeedPlace> Places, IReadOnlyList<string> Found)> RunAsync(
        IReadOnlyList<DiskSeed> wanted, IReadOnlyList<DiscoveredDisk> disks, CancellationToken cancellationToken)
    {
        SortedDictionary<string, (SeedPlace Place, string Found)> places = new(StringComparer.Ordinal);
        foreach (DiskSeed seed in wanted.OrderBy(seed => seed.TargetDevice is not null)) // A disk's own goes before a folder's.
        {
            IReadOnlyList<(SeedPlace Place, string Found)> some = Directory.Exists(seed.Path)
                ? await OfReplicaAsync(seed, disks, cancellationToken)
                : [await OfImageAsync(seed, disks, cancellationToken)];
            foreach ((SeedPlace place, string found) in some)
            {
                places[place.TargetDevice] = (place, found);
            }
        }

        return ([.. places.Values.Select(found => found.Place)], [.. places.Values.Select(found => found.Found)]);
    }

    private async Task<IReadOnlyList<(SeedPlace, string)>> OfReplicaAsync(DiskSeed seed, IReadOnlyList<DiscoveredDisk> disks, CancellationToken cancellationToken)
    {
        try
        {
            return await InReplicaAsync(seed, disks, cancellationToken);
        }
        catch (StorageException unreadable)
        {
            throw new ErrorException(Errors.SeedUnusable(seed.Path, $"{unreadable.Message.TrimEnd('.')}. {unreadable.Remedy}"), unreadable);
        }
    }

    private async Task<IReadOnlyList<(SeedPlace, string)>> InReplicaAsync(DiskSeed seed, IReadOnlyList<DiscoveredDisk> disks, CancellationToken cancellationToken)
    {
        await using ReplicaFolder replica = await seeds.OpenFolderAsync(seed.Path, seed.ImageFolder, cancellationToken);
        if (replica.Points is not [.., var newest])
        {
            throw new ErrorException(Errors.SeedUnusable(seed.Path, "this replica has no recovery point"));
        }

        List<(SeedPlace, string)> found = [];
        foreach (DiskGeometry disk in await replica.GetNewestDisksAsync(cancellationToken))
        {
            if (disks.Any(own => own.TargetDevice == disk.Target) && (seed.TargetDevice ?? disk.Target) == disk.Target)
            {
                // Opened once, so that a base image that is not where it was is said now.
                await using (await replica.OpenNewestDiskAsync(disk.Target, cancellationToken))
                {
                    found.Add((
                        new SeedPlace(disk.Target, seed.Path, SeedPlace.Replica, seed.ImageFolder),
                        $"{disk.Target} begins with an old replica of {replica.VmName} as of {newest.CutAt:yyyy-MM-dd HH:mm:ss} UTC ({Sizes.Format(disk.SizeBytes)})."));
                }
            }
        }

        return found.Count > 0 ? found : throw new ErrorException(Errors.SeedUnusable(
            seed.Path, $"the newest point of this replica of {replica.VmName} has none of the disks {string.Join(", ", disks.Select(disk => disk.TargetDevice))}"));
    }

    private async Task<(SeedPlace, string)> OfImageAsync(DiskSeed seed, IReadOnlyList<DiscoveredDisk> disks, CancellationToken cancellationToken)
    {
        string device = seed.TargetDevice ?? (disks is [var only] ? only.TargetDevice : throw new ErrorException(
            Errors.SeedUnusable(seed.Path, $"it is an image, and the VM has the disks {string.Join(", ", disks.Select(disk => disk.TargetDevice))}: say whose it is (--seed DISK=PATH)")));
        if (!File.Exists(seed.Path))
        {
            throw new ErrorException(Errors.SeedMissing(seed.Path, "no file, block device or folder of that name is there"));
        }

        ImageFacts facts = await ReadAsync(seed.Path, cancellationToken);
        DiscoveredDisk disk = disks.First(own => own.TargetDevice == device);
        string differs = facts.SizeBytes > disk.SizeBytes ? $", more than the disk: what is behind its end of {Sizes.Format(disk.SizeBytes)} is left out"
            : facts.SizeBytes < disk.SizeBytes ? $", less than the disk: the rest of its {Sizes.Format(disk.SizeBytes)} is sent"
            : "";
        return (new SeedPlace(device, seed.Path, facts.Format), $"{device} begins with {seed.Path} ({facts.Format}, {Sizes.Format(facts.SizeBytes)}{differs}).");
    }

    private async Task<ImageFacts> ReadAsync(string path, CancellationToken cancellationToken)
    {
        ImageFacts facts;
        try
        {
            facts = await images.FindAsync(path, cancellationToken) ?? throw new ErrorException(Errors.SeedMissing(path, "it has just gone"));
        }
        catch (ImageToolException unreadable)
        {
            throw new ErrorException(Errors.SeedUnusable(path, unreadable.Message), unreadable);
        }

        // Whatever is no other format passes for raw; a disk ends with a sector, and has one at least.
        if (facts.SizeBytes == 0 || (facts.Format == "raw" && new FileInfo(path).Length % SectorBytes != 0))
        {
            throw new ErrorException(Errors.SeedUnusable(path, "it is no disk image: no format is recognised, and its length is none that a disk can have"));
        }

        return await IsWrittenAsync(path, cancellationToken) ? throw new ErrorException(Errors.SeedInUse(path)) : facts;
    }

    private async Task<bool> IsWrittenAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return await images.IsWrittenAsync(path, cancellationToken);
        }
        catch (ImageToolException unreadable)
        {
            throw new ErrorException(Errors.SeedUnusable(path, unreadable.Message), unreadable);
        }
    }
}
