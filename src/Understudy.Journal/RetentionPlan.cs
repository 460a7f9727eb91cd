namespace Understudy.Journal;

/// <summary>Which point should be the oldest (CFG-3). Pure.</summary>
public static class RetentionPlan
{
    /// <summary>
    /// The newest point that is at least as old as the window, so that every moment inside the window stays recoverable; a
    /// window of zero keeps the newest point only. Null when there is no point. A clock that was set back makes
    /// points look older or younger than they are: no point is given up while one before it still looks young.
    /// <para>The window ends at the newest point, not at this host's clock: history is pushed out by points that arrive
    /// and by nothing else. A source that is down, or a clock that jumps ahead, must not eat the points somebody needs.</para>
    /// </summary>
    public static RecoveryPoint? ChooseOldest(IReadOnlyList<RecoveryPoint> points, DateTimeOffset now, TimeSpan window)
    {
        if (points.Count == 0 || window <= TimeSpan.Zero)
        {
            return points.Count == 0 ? null : points[^1];
        }

        DateTimeOffset end = now < points[^1].CutAt ? now : points[^1].CutAt;
        DateTimeOffset limit = end - DateTimeOffset.MinValue < window ? DateTimeOffset.MinValue : end - window;
        RecoveryPoint oldest = points[0];
        foreach (RecoveryPoint point in points)
        {
            if (point.CutAt > limit)
            {
                break;
            }

            oldest = point;
        }

        return oldest;
    }
}
