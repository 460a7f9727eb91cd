using Understudy.Model;

namespace Understudy.Plans.Tests;

public sealed class HardwareChecksTests
{
    private static readonly HostFacts _facts = new(
        "beta", "1", null, "9.0", "7.2", true, 8, 16L << 30, 8L << 30, ["pc"], [], new StorageSpace("/r", 1, 1, null), new StorageSpace("/s", 1, 1, null),
        MachineCpus: new Dictionary<string, int> { ["pc"] = 255 });

    [Theory]
    [InlineData(null, null, true)]
    [InlineData(0, 0L, true)]
    [InlineData(255, 16L << 30, true)]
    [InlineData(256, null, false)]
    [InlineData(-1, null, false)]
    [InlineData(null, (16L << 30) + 1, false)]
    [InlineData(null, 1000L, false)]
    [InlineData(null, -1L, false)]
    public void What_could_never_start_there_is_refused(int? cpus, long? memory, bool lawful) =>
        Assert.Equal(lawful, HardwareChecks.Evaluate(cpus, memory, "beta", _facts, "pc") is null);

    [Fact]
    public void Of_a_host_that_has_not_reported_only_nonsense_is_refused()
    {
        Assert.Null(HardwareChecks.Evaluate(4096, 1L << 50, "beta", null, "pc"));
        Assert.Equal("value-unusable", HardwareChecks.Evaluate(4097, null, "beta", null, null)?.Code);
    }
}
