using Understudy.Blocks;
using Understudy.Journal;
using Understudy.Simulation.Models;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Checkers;

/// <summary>Reads the base images themselves, past the replica: they are what a VM ends up on.</summary>
internal sealed class BaseChecker(SimHost host, ReplicaWatch watch)
{
    private readonly SimHost _host = host;
    private readonly ReplicaWatch _watch = watch;

    /// <summary>After an apply to a point the images alone are that point.</summary>
    public void Check(RecoveryPoint point)
    {
        if (_watch.Vm.FindCut(point.CutAt) is not { } cut)
        {
            return;
        }

        for (int i = 0; i < cut.Disks.Count; i++)
        {
            DiskImage wanted = cut.Disks[i];
            byte[] found = _host.Disk.ReadFile($"bases/{_watch.Id}/disk-{i}.img") ?? [];
            for (int block = 0; block < wanted.BlockCount; block++)
            {
                ReadOnlySpan<byte> content = wanted.Block(block);
                int start = block * BlockSize.Bytes;
                if (found.Length < start + content.Length || !found.AsSpan(start, content.Length).SequenceEqual(content))
                {
                    _watch.Violate("base", $"block {block} of {_watch.Vm.Targets[i]} in the base is not that of {point.Id}, which was applied");
                    return;
                }
            }
        }
    }
}
