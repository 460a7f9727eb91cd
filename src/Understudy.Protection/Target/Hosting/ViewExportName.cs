using System.Globalization;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Target.Hosting;

/// <summary>
/// The NBD export name of a disk at a recovery point: <c>3-9f86…ad015.1234.0</c>, line, sequence, disk. A pure function
/// of what it shows, so that an agent that was started anew serves the same names at once; only letters, digits, dots
/// and hyphens, so that it needs no escaping in a URI.
/// </summary>
internal static class ViewExportName
{
    public static string For(RecoveryPointId point, DiskId disk) =>
        string.Create(CultureInfo.InvariantCulture, $"{point.Line}.{point.Sequence}.{disk}");

    /// <summary>The name comes from outside.</summary>
    public static bool TryParse(string name, out RecoveryPointId point, out DiskId disk)
    {
        point = default;
        disk = default;
        string[] parts = name.Split('.', 4);
        if (parts.Length != 3
            || !LineId.TryParse(parts[0], out LineId line)
            || !ulong.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out ulong sequence)
            || !ushort.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out ushort number))
        {
            return false;
        }

        point = new RecoveryPointId(line, sequence);
        disk = new DiskId(number);
        return name == For(point, disk); // One name for one thing: no leading zeros, no other case.
    }
}
