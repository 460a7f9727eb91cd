using Understudy.Simulation.Running;

namespace Understudy.Simulation.Tests.World;

/// <summary>A few seeds of the real thing; <c>./sim</c> runs thousands.</summary>
public sealed class SeedTests
{
    [Fact]
    public void Seeds_run_clean_and_each_is_long_enough_to_mean_something()
    {
        for (ulong seed = 1; seed <= 20; seed++)
        {
            SeedResult result = SeedRunner.Run(seed, checkThreadPool: false);
            Assert.True(result.Violation is null, $"./sim --replay {seed}: {result.Violation}");
            Assert.True(result.Events >= 1000, $"seed {seed} has only {result.Events} events");
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_seed_run_twice_has_one_trace(ulong seed)
    {
        SeedResult first = SeedRunner.Run(seed, checkThreadPool: false);
        SeedResult second = SeedRunner.Run(seed, trace: TextWriter.Null, checkThreadPool: false);
        Assert.Equal((first.Hash, first.Events, first.Steps), (second.Hash, second.Events, second.Steps));
    }

    [Theory]
    [InlineData(Plant.LoseADirtyBlock)]
    [InlineData(Plant.DropWithoutNotingDivergence)]
    [InlineData(Plant.SkipAChecksum)]
    public void A_planted_fault_is_caught(object plant) => Assert.NotNull(SelfTest.Find((Plant)plant, mostSeeds: 60, checkThreadPool: false));
}
