namespace Understudy.Protection.Tests.Target.World;

/// <summary>The real clock, some days later: what waits runs as ever, what is old enough has expired.</summary>
internal sealed class ShiftedTime : TimeProvider
{
    public TimeSpan Shift { get; set; }

    public override long GetTimestamp() => base.GetTimestamp() + (long)(Shift.TotalSeconds * TimestampFrequency);

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Shift;
}
