using System.Globalization;
using Understudy.Blocks.Identity;

namespace Understudy.Model;

/// <summary>A recovery point by what people call it.</summary>
public static class PointChoice
{
    public const string Latest = "latest";

    /// <param name="points">Oldest first.</param>
    /// <param name="wanted">An id, "latest" (also null), or a time: the newest point cut within that second.</param>
    /// <returns>Null when none fits: a point close by is never taken for the one that was named.</returns>
    public static RecoveryPointInfo? Find(IReadOnlyList<RecoveryPointInfo> points, string? wanted)
    {
        if (wanted is null or Latest)
        {
            return points.Count == 0 ? null : points[^1];
        }

        if (RecoveryPointId.TryParse(wanted, out RecoveryPointId id))
        {
            return points.FirstOrDefault(point => point.Id == id);
        }

        return DateTimeOffset.TryParse(wanted, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset at)
            ? points.LastOrDefault(point => point.CutAt.ToUnixTimeSeconds() == at.ToUnixTimeSeconds())
            : null;
    }
}
