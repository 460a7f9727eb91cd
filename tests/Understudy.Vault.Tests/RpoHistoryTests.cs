using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Protection;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Tests;

public sealed class RpoHistoryTests : IAsyncLifetime
{
    private static readonly VmId Vm = new(Guid.NewGuid());
    private static readonly ReplicaId Replica = new(Guid.NewGuid());

    private readonly string _folder = Directory.CreateTempSubdirectory("us-rpo-").FullName;
    private readonly MovableTime _time = new();
    private readonly ReportBoard _board = new();
    private VaultStorage _storage = null!; // set by InitializeAsync, as the next
    private RpoHistory _history = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _storage = await VaultStorage.OpenAsync(Path.Combine(_folder, "vault.db"), Ct);
        _history = new RpoHistory(_storage, _board, _time, NullLogger<RpoHistory>.Instance);
        await using VaultDb db = _storage.Open();
        db.Protections.Add(ProtectionRows.ToRow(new ProtectedVm
        {
            Vm = Vm,
            Name = "web1",
            SourceHost = default,
            TargetHost = default,
            Replica = Replica,
            Policy = "every-5min",
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

    [Fact]
    public async Task The_worst_age_of_a_stretch_is_at_an_arrival_or_at_its_end()
    {
        Newest(TimeSpan.FromSeconds(30));
        _history.Arrived(Vm, _time.GetUtcNow() - TimeSpan.FromSeconds(200)); // until now the newest was so old
        await _history.CloseAsync(Ct);
        _time.Advance(RpoHistory.Stretch);
        await _history.CloseAsync(Ct);
        IReadOnlyList<RpoSampleDto> samples = await _history.ListAsync("web1", 24, Ct);

        Assert.Equal(2, samples.Count);
        Assert.InRange(samples[0].WorstSeconds, 199, 210);
        Assert.InRange(samples[1].WorstSeconds, 329, 340); // nothing came: it grew old
    }

    [Fact]
    public async Task What_is_older_than_a_week_goes()
    {
        Newest(TimeSpan.Zero);
        await _history.CloseAsync(Ct);
        _time.Advance(RpoHistory.Kept + TimeSpan.FromMinutes(1));
        await _history.CloseAsync(Ct);

        Assert.Single(await _history.ListAsync("web1", 24 * 30, Ct));
    }

    [Fact]
    public async Task A_vm_without_a_point_has_no_age()
    {
        await _history.CloseAsync(Ct);

        Assert.Empty(await _history.ListAsync("web1", 24, Ct));
    }

    private void Newest(TimeSpan age)
    {
        RecoveryPointInfo point = new(new RecoveryPointId(FakeAgent.Line, 1), _time.GetUtcNow() - age, PointKind.CrashConsistent, null);
        _board.Set(Vm, new TargetReport(Vm, Replica, FakeAgent.Line, TargetPhase.Receiving, 1, point, point, 0, 0, [], null));
    }
}
