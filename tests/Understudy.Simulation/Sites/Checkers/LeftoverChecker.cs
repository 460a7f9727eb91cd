using Understudy.Simulation.Machines;

namespace Understudy.Simulation.Sites.Checkers;

/// <summary>After the end of every protection: what stands on the hosts is what an ordinary host has.</summary>
internal sealed class LeftoverChecker(SitesWorld world)
{
    private readonly SitesWorld _world = world;

    public void Check()
    {
        foreach (Site site in _world.Sites)
        {
            foreach (string left in Find(site))
            {
                _world.Context.Violations.Report("left over", $"{site.Name}: {left}");
            }
        }
    }

    private IEnumerable<string> Find(Site site)
    {
        ModelMachine machine = site.Machine;
        foreach (ModelDomain domain in machine.Domains)
        {
            if (!_world.Vms.Exists(vm => vm.Id == domain.Id) && domain.Id != _world.Bystander)
            {
                yield return $"domain {domain.Name}";
            }

            if (domain.Qemu?.Disks.Find(disk => disk.Alias is not null) is { } plugged)
            {
                yield return $"disk {plugged.Active.Path} of {domain.Name}";
            }

            foreach (string checkpoint in domain.Tracked?.CheckpointNames ?? domain.Checkpoints)
            {
                yield return $"checkpoint {checkpoint} of {domain.Name}";
            }
        }

        HashSet<string> used = [.. machine.Domains.SelectMany(d => DomainXml.Disks(d.Inactive)).Select(d => d.Path)];
        foreach (string gone in used.Where(path => !machine.Images.ContainsKey(path)))
        {
            yield return $"a VM without its disk {gone}";
        }

        foreach (ModelImage image in machine.Images.Values)
        {
            bool isKept = _world.Database.Kept.Exists(kept => kept.Contains(image.Path, StringComparison.Ordinal));
            if (!used.Contains(image.Path) && !isKept && !image.Path.StartsWith("/exports/", StringComparison.Ordinal))
            {
                yield return $"image {image.Path}";
            }

            foreach (string bitmap in image.Bitmaps.Keys)
            {
                yield return $"bitmap {bitmap} in {image.Path}";
            }
        }

        foreach (string daemon in machine.Daemons.Keys)
        {
            yield return $"storage daemon {daemon}";
        }

        foreach (string network in machine.Networks.Keys)
        {
            yield return $"network {network}";
        }

        foreach (string folder in (string[])["replicas", "sources", GuardHook.Folder])
        {
            foreach (var file in site.Host.Disk.ListAll(folder))
            {
                yield return $"file {file.Name}";
            }
        }
    }
}
