using System.Diagnostics;

namespace Understudy.Journal.Tests.Rig;

/// <summary>What a crash leaves of what was not flushed.</summary>
internal enum CrashKind
{
    /// <summary>The process died: everything it had written is there.</summary>
    Kill,

    /// <summary>Power loss, nothing but flushed content and names is there.</summary>
    LoseAll,

    /// <summary>Power loss, each unflushed write is there, gone, or there in part, whatever their order was.</summary>
    LoseSome,
}

/// <summary>The disk as it is found after a crash in the middle of a list of changes.</summary>
internal static class CrashImage
{
    /// <summary>
    /// All changes before <paramref name="count"/> were made; of the one at <paramref name="count"/>, when it is a write,
    /// <paramref name="part"/> of its bytes (0 to 1).
    /// </summary>
    public static CrashDisk After(CrashDisk disk, int count, double part, CrashKind kind, Random random)
    {
        Dictionary<CrashDisk.Inode, FileState> files = [];
        SortedDictionary<string, CrashDisk.Inode> names = new(StringComparer.Ordinal);
        List<CrashDisk.Change> pendingNames = [];
        for (int i = 0; i < count; i++)
        {
            switch (disk.Changes[i])
            {
                case CrashDisk.Change.Write write:
                    Of(files, write.File).Pending.Add(write);
                    break;
                case CrashDisk.Change.SetLength length:
                    Of(files, length.File).Pending.Add(length);
                    break;
                case CrashDisk.Change.Flush flush:
                    Of(files, flush.File).Settle();
                    break;
                case CrashDisk.Change.FlushFolder folder:
                    SettleNames(names, pendingNames, folder.Folder);
                    break;
                case var naming:
                    pendingNames.Add(naming);
                    break;
            }
        }

        if (count < disk.Changes.Count && disk.Changes[count] is CrashDisk.Change.Write cut && part > 0)
        {
            Of(files, cut.File).Pending.Add(cut with { Data = cut.Data[..(int)(cut.Data.Length * part)] });
        }

        int keptNames = kind switch
        {
            CrashKind.Kill => pendingNames.Count,
            CrashKind.LoseAll => 0,
            CrashKind.LoseSome => random.Next(pendingNames.Count + 1),
            _ => throw new UnreachableException(),
        };
        foreach (CrashDisk.Change naming in pendingNames[..keptNames])
        {
            Apply(names, naming);
        }

        SortedDictionary<string, byte[]> found = new(StringComparer.Ordinal);
        foreach ((string name, CrashDisk.Inode inode) in names)
        {
            found.Add(name, Of(files, inode).Found(kind, random));
        }

        return CrashDisk.Of(found, disk.Folders);
    }

    private static FileState Of(Dictionary<CrashDisk.Inode, FileState> files, CrashDisk.Inode inode)
    {
        if (!files.TryGetValue(inode, out FileState? state))
        {
            files.Add(inode, state = new FileState(inode.Initial));
        }

        return state;
    }

    private static void SettleNames(SortedDictionary<string, CrashDisk.Inode> names, List<CrashDisk.Change> pending, string folder)
    {
        foreach (CrashDisk.Change naming in pending.Where(n => FolderOf(n) == folder).ToList())
        {
            Apply(names, naming);
            pending.Remove(naming);
        }
    }

    private static string FolderOf(CrashDisk.Change naming) => CrashDisk.FolderOf(naming switch
    {
        CrashDisk.Change.Link link => link.Name,
        CrashDisk.Change.Unlink unlink => unlink.Name,
        CrashDisk.Change.Rename rename => rename.To,
        _ => throw new UnreachableException(),
    });

    private static void Apply(SortedDictionary<string, CrashDisk.Inode> names, CrashDisk.Change naming)
    {
        switch (naming)
        {
            case CrashDisk.Change.Link link:
                names[link.Name] = link.File;
                break;
            case CrashDisk.Change.Unlink unlink:
                names.Remove(unlink.Name);
                break;
            case CrashDisk.Change.Rename rename:
                names.Remove(rename.From, out CrashDisk.Inode? inode);
                names[rename.To] = inode!;
                break;
        }
    }

    private sealed class FileState(byte[] initial)
    {
        private readonly CrashDisk.Inode _durable = new(initial);

        public List<CrashDisk.Change> Pending { get; } = [];

        public void Settle()
        {
            Pending.ForEach(change => Apply(_durable, change, 1));
            Pending.Clear();
        }

        public byte[] Found(CrashKind kind, Random random)
        {
            CrashDisk.Inode found = new(_durable.Content.ToArray());
            if (kind != CrashKind.LoseAll)
            {
                foreach (CrashDisk.Change change in Pending)
                {
                    double kept = kind == CrashKind.Kill ? 1 : random.Next(4) switch { 0 => 0, 1 => random.NextDouble(), _ => 1 };
                    Apply(found, change, kept);
                }
            }

            return found.Content.ToArray();
        }

        private static void Apply(CrashDisk.Inode file, CrashDisk.Change change, double part)
        {
            switch (change)
            {
                case CrashDisk.Change.Write write when part > 0:
                    file.Write(write.Offset, write.Data.AsSpan(0, (int)(write.Data.Length * part)));
                    break;
                case CrashDisk.Change.SetLength length when part > 0:
                    file.SetLength(length.Length);
                    break;
            }
        }
    }
}
