using System.Net;
using Understudy.Testing;
using Understudy.Vault.Protection;

namespace Understudy.Vault.Tests;

public sealed class BelievedClockTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly SetTime _time = new();

    [Fact]
    public void A_clock_is_believed_once_it_has_gone_on_evenly_for_a_while()
    {
        BelievedClock clock = Begin();
        Assert.Null(clock.Now());
        _time.Pass(Patience - TimeSpan.FromSeconds(1));
        Assert.Null(clock.Now());
        _time.Pass(TimeSpan.FromSeconds(1));
        Assert.Equal(_time.GetUtcNow(), clock.Now());
    }

    [Theory]
    [InlineData(31)]
    [InlineData(-31)]
    [InlineData(86_400)]
    public void A_clock_that_is_set_has_to_show_it_anew(int seconds)
    {
        BelievedClock clock = Begin();
        _time.Pass(Patience);
        Assert.NotNull(clock.Now());
        _time.Set(TimeSpan.FromSeconds(seconds));
        Assert.Null(clock.Now());
        _time.Pass(Patience);
        Assert.Equal(_time.GetUtcNow(), clock.Now());
    }

    [Fact]
    public void A_clock_that_is_corrected_by_and_by_stays_believed()
    {
        BelievedClock clock = Begin();
        _time.Pass(Patience);
        for (int look = 0; look < 100; look++)
        {
            _time.Pass(TimeSpan.FromSeconds(2));
            _time.Set(TimeSpan.FromSeconds(1)); // far more than any slewing
            Assert.NotNull(clock.Now());
        }
    }

    private BelievedClock Begin() => new(new VaultSettings { DataFolder = "", Time = _time, Ids = new SeededIdSource(1), Listen = new IPEndPoint(IPAddress.Loopback, 1), ClockPatience = Patience });

    /// <summary>Time passes, and the wall clock is set, each by itself.</summary>
    private sealed class SetTime : TimeProvider
    {
        private TimeSpan _passed;
        private TimeSpan _set;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Pass(TimeSpan by) => _passed += by;

        public void Set(TimeSpan by) => _set += by;

        public override long GetTimestamp() => _passed.Ticks;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch + _passed + _set;
    }
}
