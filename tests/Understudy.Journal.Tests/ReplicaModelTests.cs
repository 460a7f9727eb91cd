using Understudy.Journal.Tests.Rig;
using Understudy.Testing;

namespace Understudy.Journal.Tests;

public sealed class ReplicaModelTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(0)]
    public async Task Every_point_pin_and_view_reads_as_the_model_whatever_happens_around_it(int seed)
    {
        seed = seed == 0 ? Seed.Next() : seed;
        CrashDisk disk = new();
        ReplicaScript script = new(disk, new Random(seed));
        await script.BeginAsync();
        for (int round = 0; round < 25; round++)
        {
            await script.RunAsync(12);
            await script.CheckEverythingAsync();
        }

        await script.EndAsync();
    }
}
