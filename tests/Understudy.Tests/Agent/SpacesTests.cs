using Understudy.Agent;
using Understudy.Model;
using Understudy.Testing;

namespace Understudy.Tests.Agent;

/// <summary>A file system that hangs keeps neither its host's facts nor the threads that others need.</summary>
public sealed class SpacesTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_file_system_that_hangs_is_said_not_to_answer_and_is_asked_once_until_it_does()
    {
        using ManualResetEventSlim server = new();
        int asked = 0;
        ManualTime time = new();
        Spaces spaces = new(time, path =>
        {
            Interlocked.Increment(ref asked);
            server.Wait(Ct);
            return new StorageSpace(path, 1, 2, null);
        });

        Task<StorageSpace> first = spaces.OfAsync("/mnt/gone", Ct);
        time.Advance(TimeSpan.FromSeconds(3));
        StorageSpace silent = await first;
        Assert.Equal((0, 0), (silent.FreeBytes, silent.TotalBytes));
        Assert.Contains("does not answer", silent.Error, StringComparison.Ordinal);
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal(silent, await spaces.OfAsync("/mnt/gone", Ct)); // at once: no time goes by here
        }

        Assert.Equal(1, asked);
        server.Set();
        StorageSpace known = silent;
        while (known == silent)
        {
            known = await spaces.OfAsync("/mnt/gone", Ct);
        }

        Assert.Equal(new StorageSpace("/mnt/gone", 1, 2, null), known);
        Assert.Equal(known, await spaces.OfAsync("/mnt/gone", Ct));
        Assert.Equal(2, asked);
    }

    [Fact]
    public async Task One_that_hangs_keeps_no_other_waiting()
    {
        using ManualResetEventSlim server = new();
        Spaces spaces = new(new ManualTime(), path =>
        {
            if (path == "/mnt/gone")
            {
                server.Wait(Ct);
            }

            return new StorageSpace(path, 1, 2, null);
        });

        Task<StorageSpace> hung = spaces.OfAsync("/mnt/gone", Ct);

        Assert.Equal(new StorageSpace("/srv", 1, 2, null), await spaces.OfAsync("/srv", Ct));
        Assert.False(hung.IsCompleted);
        server.Set();
        Assert.Null((await hung).Error);
    }
}
