using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Target;
using Understudy.Protection.Tests.Target.World;
using Understudy.Testing.Devices;

namespace Understudy.Protection.Tests.Target;

public sealed class DepartureNoticesTests
{
    private static readonly DepartureNotice Notice = new(
        new ReplicaId(Guid.NewGuid()), new VmId(Guid.NewGuid()), Guid.NewGuid(), new LineId(2, 7), DateTimeOffset.UnixEpoch, DateTimeOffset.UtcNow);

    private readonly MemoryFileStore _store = new();
    private readonly ShiftedTime _time = new();

    [Fact]
    public async Task A_source_is_told_by_the_next_agent_too()
    {
        await New().PutAsync(Notice, default);

        Assert.Equal(new(Notice.Line, Notice.MintedAt), await New().FindAsync(Notice.Replica, Notice.Vm, Notice.Source, default));
    }

    [Fact]
    public async Task A_stranger_learns_nothing()
    {
        DepartureNotices notices = New();
        await notices.PutAsync(Notice, default);

        Assert.Null(await notices.FindAsync(Notice.Replica, Notice.Vm, Guid.NewGuid(), default));
        Assert.Null(await notices.FindAsync(Notice.Replica, new VmId(Guid.NewGuid()), Notice.Source, default));
        Assert.Null(await notices.FindAsync(new ReplicaId(Guid.NewGuid()), Notice.Vm, Notice.Source, default));
    }

    [Fact]
    public async Task One_that_was_dropped_or_is_too_old_is_gone_with_its_file()
    {
        await New().PutAsync(Notice, default);
        await New().DropAsync(Notice.Replica, default);
        Assert.Empty(await _store.ListAsync("", default));

        await New().PutAsync(Notice, default);
        _time.Pass(DepartureNotices.Kept + TimeSpan.FromDays(1));
        Assert.Null(await New().FindAsync(Notice.Replica, Notice.Vm, Notice.Source, default));
        Assert.Empty(await _store.ListAsync("", default));
    }

    [Fact]
    public async Task One_that_is_damaged_stays_where_it_is_and_keeps_no_other_from_being_told()
    {
        DepartureNotice other = Notice with { Replica = new ReplicaId(Guid.NewGuid()) };
        await New().PutAsync(Notice, default);
        await New().PutAsync(other, default);
        string damaged = $"{Notice.Replica.Value:N}.state";
        await using (IStoreFile file = await _store.OpenAsync(damaged, FileOpen.OpenOrCreate, default))
        {
            await file.WriteAsync(60, "x"u8.ToArray(), default);
        }

        DepartureNotices next = New();
        Assert.Null(await next.FindAsync(Notice.Replica, Notice.Vm, Notice.Source, default));
        Assert.NotNull(await next.FindAsync(other.Replica, other.Vm, other.Source, default));
        Assert.Contains(await _store.ListAsync("", default), entry => entry.Name == damaged);
    }

    private DepartureNotices New() => new(_store, _time, NullLogger.Instance);
}
