using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Testing;
using Understudy.Vault.Agents;
using Understudy.Vault.Events;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Tests;

/// <summary>What a report changes is told once: whatever comes at the same time, and whatever goes wrong while it is kept.</summary>
public sealed class ReportNewsTests : IAsyncLifetime
{
    private const string Deposed = "source-deposed";
    private const string TwoOwners = "two-owners";
    private const string PolicyName = "p";

    private static readonly HostId Alpha = new(Guid.NewGuid());
    private static readonly HostId Beta = new(Guid.NewGuid());
    private static readonly VmId Vm = new(Guid.NewGuid());
    private static readonly ReplicaId Replica = new(Guid.NewGuid());
    private static readonly LineId Older = new(1, 7);
    private static readonly LineId Newer = new(2, 7);

    private readonly string _folder = Directory.CreateTempSubdirectory("us-news-").FullName;
    private readonly MovableTime _time = new();
    private bool _targetIsThere = true;
    private readonly ReportBoard _board = new();
    private VaultStorage _storage = null!; // set by InitializeAsync, as the next
    private ReportNews _news = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _storage = await VaultStorage.OpenAsync(Path.Combine(_folder, "vault.db"), Ct);
        Changes changes = new();
        _news = new ReportNews(
            _storage,
            _board,
            new RpoHistory(_storage, _board, _time, NullLogger<RpoHistory>.Instance),
            new Reunions(_storage, new AgentRegistry(changes, _time), _board, new SeededIdSource(1), _time, NullLogger<Reunions>.Instance),
            new EventJournal(_storage, changes, _time),
            changes,
            _time,
            _ => _targetIsThere);
        await using VaultDb db = _storage.Open();
        db.Policies.Add(new PolicyRow { Name = PolicyName, PolicyJson = "{}" });
        db.Protections.Add(ProtectionRows.ToRow(new ProtectedVm
        {
            Vm = Vm,
            Name = "web1",
            SourceHost = Alpha,
            TargetHost = Beta,
            Replica = Replica,
            Policy = PolicyName,
            TargetName = "web1",
            Nics = [],
            Stage = ProtectionStage.Replicating,
        }));
        await db.SaveChangesAsync(Ct);
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    /// <summary>The agent says it again when its connection is back: it broke because of this.</summary>
    [Fact]
    public async Task An_event_that_could_not_be_kept_is_told_when_its_report_comes_again()
    {
        SourceReport report = Source(OwnershipState.Elsewhere, Newer) with { Deposed = new DeposedInfo(Newer, _time.GetUtcNow(), null, IsolatedSourceAction.Pause) };
        await DoAsync("CREATE TRIGGER stumble BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
        await Assert.ThrowsAsync<DbUpdateException>(async () => await _news.OnSourceAsync(Alpha, report, Ct));
        Assert.Null(_board.Get(Vm).Source);

        await DoAsync("DROP TRIGGER stumble");
        await _news.OnSourceAsync(Alpha, report, Ct);
        await _news.OnSourceAsync(Alpha, report, Ct);
        Assert.Equal(1, await CountAsync(Deposed));
        Assert.NotNull(_board.Get(Vm).Source);
    }

    /// <summary>As a link does that is tried again and again.</summary>
    [Fact]
    public async Task Each_reason_of_a_standstill_is_told_once_until_replication_has_gone_on()
    {
        for (int attempt = 0; attempt < 5; attempt++)
        {
            await _news.OnSourceAsync(Alpha, Standing("link-lost"), Ct);
            await _news.OnSourceAsync(Alpha, Standing("source-retrying"), Ct);
        }

        Assert.Equal(2, await CountAsync(ReportChanges.Stopped));
        await _news.OnSourceAsync(Alpha, Source(OwnershipState.Here, Older), Ct);
        await _news.OnSourceAsync(Alpha, Standing("link-lost"), Ct);
        Assert.Equal(3, await CountAsync(ReportChanges.Stopped));
    }

    [Fact]
    public async Task What_both_sides_bring_about_at_once_is_told_once()
    {
        for (int round = 1; round <= 30; round++)
        {
            await _news.OnSourceAsync(Alpha, Source(OwnershipState.Elsewhere, Older), Ct);
            await Task.WhenAll(
                Task.Run(async () => await _news.OnSourceAsync(Alpha, Source(OwnershipState.Here, Newer), Ct), Ct),
                Task.Run(async () => await _news.OnTargetAsync(Beta, Target(OwnershipState.Here, Older), Ct), Ct));
            Assert.Equal(round, await CountAsync(TwoOwners));
            await _news.OnTargetAsync(Beta, Target(OwnershipState.Elsewhere, Older), Ct);
        }
    }

    /// <summary>A cancel makes the source's line newer than all that a target that was away since has said.</summary>
    [Fact]
    public async Task A_source_that_owns_the_VM_by_a_newer_line_is_no_claim_as_long_as_the_target_has_not_said_what_it_knows()
    {
        await _news.OnTargetAsync(Beta, Target(OwnershipState.Here, Older), Ct);
        _targetIsThere = false;
        await _news.OnSourceAsync(Alpha, Source(OwnershipState.Here, Newer), Ct);
        Assert.Equal(0, await CountAsync(TwoOwners));

        _targetIsThere = true;
        await DoAsync("CREATE TRIGGER stumble BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
        await Assert.ThrowsAsync<DbUpdateException>(async () => await _news.OnTargetAsync(Beta, Target(OwnershipState.Here, Older), Ct));
        await DoAsync("DROP TRIGGER stumble");
        await _news.OnTargetAsync(Beta, Target(OwnershipState.Here, Older), Ct);
        await _news.OnSourceAsync(Alpha, Source(OwnershipState.Here, Newer), Ct);
        Assert.Equal(1, await CountAsync(TwoOwners));
    }

    /// <summary>Of a protection, and of old disks that had outlived theirs.</summary>
    [Theory]
    [InlineData("protections")]
    [InlineData("retired")]
    public async Task A_report_that_meets_the_end_of_what_it_is_of_changes_nothing(string table)
    {
        await using (VaultDb db = _storage.Open())
        {
            db.Retired.Add(new RetiredRow { Replica = Guid.NewGuid(), VmId = Vm.Value, VmName = "web1", SourceHost = Alpha.Value });
            await db.SaveChangesAsync(Ct);
        }

        Guid old = await RetiredAsync();
        await DoAsync($"CREATE TRIGGER gone BEFORE UPDATE ON {table} BEGIN SELECT RAISE(IGNORE); END"); // the row is not there any more
        SourceReport deposed = Source(OwnershipState.Elsewhere, Newer) with { Deposed = new DeposedInfo(Newer, _time.GetUtcNow(), null, IsolatedSourceAction.Pause) };
        await _news.OnSourceAsync(Alpha, table == "retired" ? deposed with { Replica = new ReplicaId(old) } : deposed, Ct);

        Assert.Equal(0, await CountAsync(Deposed));
        Assert.Null(_board.Get(Vm).Source);
    }

    private static SourceReport Source(OwnershipState state, LineId line) =>
        new(Vm, Replica, SourcePhase.Protected, VmPower.Off, 0, 0, 0, 0, null, null, null, 0, 0, 0, 0, 0, false, null) { Ownership = new OwnershipInfo(state, line, DateTimeOffset.UnixEpoch) };

    private static SourceReport Standing(string code) =>
        Source(OwnershipState.Here, Older) with { Error = new ErrorInfo(ErrorKind.Failed, code, "It stands still.", "The link is cut.", "Mend it.") };

    private static TargetReport Target(OwnershipState state, LineId line) =>
        new(Vm, Replica, line, TargetPhase.Receiving, 0, null, null, 0, 0, [], null) { Ownership = new OwnershipInfo(state, line, DateTimeOffset.UnixEpoch) };

    private async Task<Guid> RetiredAsync()
    {
        await using VaultDb db = _storage.Open();
        return await db.Retired.Select(row => row.Replica).SingleAsync(Ct);
    }

    private async Task DoAsync(string sql)
    {
        await using VaultDb db = _storage.Open();
        await db.Database.ExecuteSqlRawAsync(sql, Ct);
    }

    private async Task<int> CountAsync(string kind)
    {
        await using VaultDb db = _storage.Open();
        return await db.Events.CountAsync(row => row.Kind == kind, Ct);
    }
}
