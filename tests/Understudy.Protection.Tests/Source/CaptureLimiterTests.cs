using Understudy.Blocks;
using Understudy.Protection.Source;

namespace Understudy.Protection.Tests.Source;

public sealed class CaptureLimiterTests
{
    [Fact]
    public async Task Only_so_many_get_in_and_the_rest_follow_in_order()
    {
        CaptureLimiter limiter = new(2);
        CaptureLimiter.Pass first = await limiter.EnterAsync(CancellationToken.None);
        CaptureLimiter.Pass second = await limiter.EnterAsync(CancellationToken.None);
        Task<CaptureLimiter.Pass> third = limiter.EnterAsync(CancellationToken.None).AsTask();
        Task<CaptureLimiter.Pass> fourth = limiter.EnterAsync(CancellationToken.None).AsTask();
        Assert.False(third.IsCompleted);

        first.Dispose();
        CaptureLimiter.Pass entered = await third;
        Assert.False(fourth.IsCompleted);
        second.Dispose();
        (await fourth).Dispose();
        entered.Dispose();
        (await limiter.EnterAsync(CancellationToken.None)).Dispose();
    }

    [Fact]
    public async Task Cancelled_waiter_gives_its_place_in_the_queue_up_and_takes_none()
    {
        CaptureLimiter limiter = new(1);
        CaptureLimiter.Pass inside = await limiter.EnterAsync(CancellationToken.None);
        using CancellationTokenSource stop = new();
        Task<CaptureLimiter.Pass> cancelled = limiter.EnterAsync(stop.Token).AsTask();
        Task<CaptureLimiter.Pass> patient = limiter.EnterAsync(CancellationToken.None).AsTask();
        stop.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        inside.Dispose();
        (await patient).Dispose();
    }

    [Fact]
    public async Task Leaving_twice_is_a_broken_invariant()
    {
        CaptureLimiter.Pass pass = await new CaptureLimiter(1).EnterAsync(CancellationToken.None);
        pass.Dispose();
        Assert.Throws<InvariantException>(pass.Dispose);
    }
}
