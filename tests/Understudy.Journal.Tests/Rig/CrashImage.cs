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
internal sealed class CrashImage
{
    private readonly Dictionary<CrashDisk.Inode, CrashDisk.Inode> _durable = [];
    private readonly SortedDictionary<string, CrashDisk.Inode> _names;
    private readonly List<CrashDisk.Change> _unflushed = [];

    /// <summary>
    /// All changes before <paramref name="count"/> were made; of the one at <paramref name="count"/>, when it is a write,
    /// <paramref name="part"/> of its bytes (0 to 1).
    /// </summary>
    private CrashImage(CrashDisk disk, int count, double part)
    {
        _names = new SortedDictionary<string, CrashDisk.Inode>(disk.InitialNames.ToDictionary(), StringComparer.Ordinal);
        foreach (CrashDisk.Change change in disk.Changes.Take(count))
        {
            switch (change)
            {
                case CrashDisk.Change.Flush flush:
                    Settle(c => FileOf(c) == flush.File);
                    break;
                case CrashDisk.Change.FlushFolder folder:
                    Settle(c => FolderOf(c) == folder.Folder);
                    break;
                default:
                    _unflushed.Add(change);
                    break;
            }
        }

        if (count < disk.Changes.Count && disk.Changes[count] is CrashDisk.Change.Write cut && part > 0)
        {
            _unflushed.Add(cut with { Data = cut.Data[..(int)(cut.Data.Length * part)] });
        }
    }

    /// <summary>The disk of a machine that has started again; what is there is durable.</summary>
    public static CrashDisk After(CrashDisk disk, int count, double part, CrashKind kind, Random random)
    {
        CrashImage image = new(disk, count, part);
        int keptNames = kind switch
        {
            CrashKind.Kill => int.MaxValue,
            CrashKind.LoseAll => 0,
            CrashKind.LoseSome => random.Next(image._unflushed.Count(c => FileOf(c) is null) + 1),
            _ => throw new UnreachableException(),
        };
        foreach (CrashDisk.Change change in image._unflushed)
        {
            if (FileOf(change) is null)
            {
                image.Apply(change, keptNames-- > 0 ? 1 : 0);
            }
            else
            {
                image.Apply(change, kind switch
                {
                    CrashKind.Kill => 1,
                    CrashKind.LoseAll => 0,
                    _ => random.Next(4) switch { 0 => 0, 1 => random.NextDouble(), _ => 1 },
                });
            }
        }

        return CrashDisk.Of(image._names.ToDictionary(n => n.Key, n => image.Of(n.Value).Content.ToArray()), disk.Folders);
    }

    /// <summary>
    /// The disk of a machine that runs on after the process was killed: everything is there, and what was not flushed can
    /// still be lost. The changes that are not flushed come first in the new disk's list.
    /// </summary>
    public static CrashDisk AfterKill(CrashDisk disk, int count, double part)
    {
        CrashImage image = new(disk, count, part);
        Dictionary<CrashDisk.Inode, CrashDisk.Inode> copies = [];
        CrashDisk.Inode Copy(CrashDisk.Inode inode)
        {
            if (!copies.TryGetValue(inode, out CrashDisk.Inode? copy))
            {
                copies.Add(inode, copy = new CrashDisk.Inode(image.Of(inode).Content.ToArray()));
            }

            return copy;
        }

        CrashDisk found = CrashDisk.Of(image._names.ToDictionary(n => n.Key, n => Copy(n.Value)), disk.Folders);
        foreach (CrashDisk.Change change in image._unflushed)
        {
            found.Redo(change switch
            {
                CrashDisk.Change.Write write => write with { File = Copy(write.File) },
                CrashDisk.Change.SetLength length => length with { File = Copy(length.File) },
                CrashDisk.Change.Link link => link with { File = Copy(link.File) },
                _ => change,
            });
        }

        return found;
    }

    private static CrashDisk.Inode? FileOf(CrashDisk.Change change) => change switch
    {
        CrashDisk.Change.Write write => write.File,
        CrashDisk.Change.SetLength length => length.File,
        _ => null,
    };

    private static string? FolderOf(CrashDisk.Change change) => change switch
    {
        CrashDisk.Change.Link link => CrashDisk.FolderOf(link.Name),
        CrashDisk.Change.Unlink unlink => CrashDisk.FolderOf(unlink.Name),
        CrashDisk.Change.Rename rename => CrashDisk.FolderOf(rename.To),
        _ => null,
    };

    private void Settle(Func<CrashDisk.Change, bool> which)
    {
        foreach (CrashDisk.Change change in _unflushed.Where(which))
        {
            Apply(change, 1);
        }

        _unflushed.RemoveAll(c => which(c));
    }

    private CrashDisk.Inode Of(CrashDisk.Inode inode)
    {
        if (!_durable.TryGetValue(inode, out CrashDisk.Inode? durable))
        {
            _durable.Add(inode, durable = new CrashDisk.Inode(inode.Initial));
        }

        return durable;
    }

    private void Apply(CrashDisk.Change change, double part)
    {
        if (part <= 0)
        {
            return;
        }

        switch (change)
        {
            case CrashDisk.Change.Write write:
                Of(write.File).Write(write.Offset, write.Data.AsSpan(0, (int)(write.Data.Length * part)));
                break;
            case CrashDisk.Change.SetLength length:
                Of(length.File).SetLength(length.Length);
                break;
            case CrashDisk.Change.Link link:
                _names[link.Name] = link.File;
                break;
            case CrashDisk.Change.Unlink unlink:
                _names.Remove(unlink.Name);
                break;
            case CrashDisk.Change.Rename rename when _names.Remove(rename.From, out CrashDisk.Inode? inode):
                _names[rename.To] = inode;
                break;
        }
    }
}
