using System.Text;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Backup;

namespace Understudy.Vault.Tests;

/// <summary>REG-8: the vault's state on the target hosts, and a vault made again from it.</summary>
public sealed class BackupTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("us-agent-").FullName;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_copy_is_at_every_target_host_and_at_no_other_once_there_is_a_target()
    {
        (Lab lab, FakeAgent alpha, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using Lab owned = lab;
        await Lab.UntilAsync(() => Task.FromResult(!alpha.VaultCopies.IsEmpty && !beta.VaultCopies.IsEmpty)); // no target yet: both
        await lab.ProtectAsync(beta, "web1");
        lab.Time.Advance(TimeSpan.FromMinutes(30));

        VaultCopiesDto copies = await lab.Client.CopyVaultAsync(Ct);

        Assert.Equal("beta", copies.Copies[0].Host);
        Assert.True(beta.VaultCopies.Count > 1);
        Assert.Single(alpha.VaultCopies);
        Assert.Equal(beta.VaultCopies.Keys.Max(StringComparer.Ordinal), copies.Copies[0].Name);
        Assert.Equal("1h", copies.Every);
    }

    [Fact]
    public async Task A_protection_that_began_or_ended_is_in_a_copy_at_once()
    {
        (Lab lab, _, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using Lab owned = lab;
        await Lab.UntilAsync(() => Task.FromResult(beta.VaultCopies.Count == 1));
        lab.Time.Advance(TimeSpan.FromSeconds(5));
        await lab.ProtectAsync(beta, "web1");
        await Lab.UntilAsync(() => Task.FromResult(beta.VaultCopies.Count >= 2)); // its job's beginning and its end may be in one
        int copies = beta.VaultCopies.Count;

        lab.Time.Advance(TimeSpan.FromSeconds(5));
        await lab.EndOfAsync((await lab.Client.UnprotectAsync("web1", keepAtTarget: false, Ct)).Id);
        await Lab.UntilAsync(() => Task.FromResult(beta.VaultCopies.Count > copies));
    }

    [Fact]
    public async Task A_lost_vault_comes_back_with_everything_and_its_agents_find_it()
    {
        (Lab lab, FakeAgent alpha, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using Lab owned = lab;
        ReplicaId replica = await lab.ProtectAsync(beta, "web1");
        string token = lab.Token;
        string ca = lab.CaCertificate;

        RestoredVault restored = await lab.RestoreAsync(await CopyOfAsync(lab, beta));

        Assert.Equal(["alpha", "beta"], restored.Hosts);
        Assert.Empty(restored.EndedJobs);
        Assert.Equal((token, ca), (lab.Token, lab.CaCertificate));
        await Lab.UntilAsync(async () => (await lab.Client.ListHostsAsync(Ct)).All(host => host.Online));
        VmDto vm = await lab.Client.GetVmAsync("web1", Ct);
        Assert.Equal(ProtectionState.Protected, vm.State);
        Assert.Equal((1L, 2L), (alpha.Met.Min(), alpha.Met.Max()));
        beta.AddPoint(replica, lab.Time.GetUtcNow());
        JobDto failover = await lab.Client.FailoverAsync("web1", new FailoverDto(true, null, Confirmation.Failover), Ct);
        Assert.Equal(JobState.Succeeded, (await lab.EndOfAsync(failover.Id)).State);
    }

    [Fact]
    public async Task A_job_under_way_at_the_copy_is_not_gone_on_with_and_says_so()
    {
        (Lab lab, FakeAgent alpha, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using Lab owned = lab;
        await lab.ProtectAsync(beta, "web1");
        TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        beta.Before["failover.start"] = ct =>
        {
            begun.TrySetResult();
            return Task.Delay(Timeout.Infinite, ct);
        };
        JobDto failover = await lab.Client.FailoverAsync("web1", new FailoverDto(true, null, Confirmation.Failover), Ct);
        await begun.Task;
        byte[] copy = await CopyOfAsync(lab, beta);
        beta.Before.Clear();

        RestoredVault restored = await lab.RestoreAsync(copy);

        Assert.Contains($"job {failover.Id}, {failover.Name}", restored.EndedJobs);
        JobDto ended = await lab.Client.GetJobAsync(failover.Id, Ct);
        Assert.Equal((JobState.Failed, "vault-restored"), (ended.State, ended.Error?.Code));
        await Lab.UntilAsync(async () => (await lab.Client.GetHostAsync("beta", Ct)).Online);
        Assert.Null((await lab.Client.GetVmAsync("web1", Ct)).Protection?.Job); // The VM is free for what a person decides now.
        Assert.Equal(ProtectionState.Protected, (await lab.Client.GetVmAsync("web1", Ct)).State); // As its host says: nothing was started.
        Assert.Contains(await lab.Client.ListEventsAsync(0, 1000, Ct), e => e.Kind == "vault-restored");
        Assert.NotNull(alpha.Membership);
    }

    [Fact]
    public async Task A_test_that_waits_for_its_user_still_waits_and_can_be_completed()
    {
        (Lab lab, _, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using Lab owned = lab;
        await lab.ProtectAsync(beta, "web1");
        JobDto test = await lab.Client.TestAsync("web1", new TestVmDto(null, null), Ct);
        await lab.UntilAsync(test.Id, job => job.Wait == JobWait.TestCompletion);

        RestoredVault restored = await lab.RestoreAsync(await CopyOfAsync(lab, beta));

        Assert.Empty(restored.EndedJobs);
        await lab.Client.CompleteJobAsync(test.Id, new JobCompleteDto("after the fire"), Ct);
        Assert.Equal(JobState.Succeeded, (await lab.EndOfAsync(test.Id)).State);
        Assert.Empty(beta.Tests);
    }

    [Fact]
    public async Task Nothing_of_the_copy_is_readable_without_the_key_and_another_key_is_told_from_damage()
    {
        (Lab lab, _, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using Lab owned = lab;
        byte[] copy = await CopyOfAsync(lab, beta);
        string keyOfAuthority = (await File.ReadAllTextAsync(Path.Combine(lab.Folder, "ca.key"), Ct)).Split('\n')[1];
        string path = await SaveAsync(copy);
        RecoveryKey other = new(RecoveryKey.FormatName, "main", new byte[RecoveryKey.KeyBytes], DateTimeOffset.UtcNow);
        await File.WriteAllBytesAsync(Path.Combine(_folder, "other.key"), other.ToBytes(), Ct);

        Assert.DoesNotContain(keyOfAuthority, Encoding.Latin1.GetString(copy), StringComparison.Ordinal);
        Assert.Equal("recovery-key-wrong", await WhyNotAsync(path, Path.Combine(_folder, "other.key")));
        Assert.Equal("value-unusable", await WhyNotAsync(path, path));
        Assert.False(Directory.Exists(Path.Combine(_folder, "vault")));
    }

    [Fact]
    public async Task A_copy_that_was_changed_or_cut_off_anywhere_is_refused_and_leaves_nothing()
    {
        (Lab lab, _, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using Lab owned = lab;
        byte[] copy = await CopyOfAsync(lab, beta);
        string key = Path.Combine(lab.Folder, RecoveryKey.FileName);
        int seed = Testing.Seed.Next();
        Random random = new(seed);
        for (int i = 0; i < 40; i++)
        {
            byte[] damaged = [.. copy];
            int at = i switch { 0 => 0, 1 => copy.Length - 1, _ => random.Next(copy.Length) };
            damaged[at] ^= (byte)(1 << random.Next(8));
            string code = await WhyNotAsync(await SaveAsync(damaged), key);
            Assert.True(code is "vault-copy-unusable" or "recovery-key-wrong", $"seed {seed}, byte {at}: {code}");
        }

        foreach (int length in (int[])[0, 10, 200, copy.Length / 2, copy.Length - 1, copy.Length - CopyHeader.TagBytes])
        {
            Assert.Equal("vault-copy-unusable", await WhyNotAsync(await SaveAsync(copy[..length]), key));
        }

        Assert.Empty(Directory.EnumerateDirectories(_folder));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(CopyHeader.ChunkBytes - 1)]
    [InlineData(CopyHeader.ChunkBytes)]
    [InlineData(CopyHeader.ChunkBytes + 1)]
    [InlineData((2 * CopyHeader.ChunkBytes) + 4711)]
    public async Task Chunks_come_back_as_they_went_and_cannot_change_places(int length)
    {
        RecoveryKey key = new(RecoveryKey.FormatName, "main", new byte[RecoveryKey.KeyBytes], DateTimeOffset.UtcNow);
        CopyHeader header = CopyHeader.New("main", 1, DateTimeOffset.UtcNow, "0.1.0", key);
        byte[] plain = new byte[length];
        new Random(length).NextBytes(plain);
        byte[] chunks = await WriteAsync(header, key, plain);

        Assert.Equal(plain, await ReadAsync(header, key, chunks));
        if (length > 2 * CopyHeader.ChunkBytes)
        {
            int chunk = CopyHeader.ChunkBytes + CopyHeader.TagBytes;
            byte[] swapped = [.. chunks[chunk..(2 * chunk)], .. chunks[..chunk], .. chunks[(2 * chunk)..]];
            byte[] cut = chunks[..(2 * chunk)];
            await Assert.ThrowsAsync<ErrorException>(() => ReadAsync(header, key, swapped));
            await Assert.ThrowsAsync<ErrorException>(() => ReadAsync(header, key, cut));
        }
    }

    [Fact]
    public async Task A_restore_writes_over_nothing_and_goes_on_after_one_that_was_cut_short()
    {
        (Lab lab, _, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using Lab owned = lab;
        string copy = await SaveAsync(await CopyOfAsync(lab, beta));
        string key = Path.Combine(lab.Folder, RecoveryKey.FileName);
        string data = Path.Combine(_folder, "vault");
        Directory.CreateDirectory(data + ".restoring");
        await File.WriteAllTextAsync(Path.Combine(data + ".restoring", "vault.db"), "half", Ct);

        await VaultRestore.RunAsync(copy, key, data, TimeProvider.System, Ct);

        Assert.Equal("vault-folder-used", await WhyNotAsync(copy, key));
        Assert.False(Directory.Exists(data + ".restoring"));
        Assert.All(Directory.EnumerateFiles(data), file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
    }

    [Fact]
    public async Task The_key_is_made_once_and_readable_for_its_owner_only()
    {
        await using Lab lab = await Lab.StartAsync();
        string path = Path.Combine(lab.Folder, RecoveryKey.FileName);
        byte[] made = await File.ReadAllBytesAsync(path, Ct);

        await lab.StopVaultAsync();
        await lab.StartVaultAsync();

        Assert.Equal(made, await File.ReadAllBytesAsync(path, Ct));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
    }

    private static async Task<byte[]> CopyOfAsync(Lab lab, FakeAgent agent)
    {
        lab.Time.Advance(TimeSpan.FromSeconds(2)); // names tell seconds apart
        await lab.Client.CopyVaultAsync(Ct);
        return agent.VaultCopies[agent.VaultCopies.Keys.Max(StringComparer.Ordinal)!]; // one was made a line above
    }

    private static async Task<byte[]> WriteAsync(CopyHeader header, RecoveryKey key, byte[] plain)
    {
        using MemoryStream output = new();
        using var cipher = header.Cipher(key);
        await using CopyWriter writer = new(output, cipher, header.ToBytes());
        for (int at = 0; at < plain.Length; at += 100_000)
        {
            await writer.WriteAsync(plain.AsMemory(at, Math.Min(100_000, plain.Length - at)), Ct);
        }

        await writer.FinishAsync(Ct);
        return output.ToArray();
    }

    private static async Task<byte[]> ReadAsync(CopyHeader header, RecoveryKey key, byte[] chunks)
    {
        using var cipher = header.Cipher(key);
        await using CopyReader reader = new(new MemoryStream(chunks), cipher, header.ToBytes(), "copy");
        using MemoryStream plain = new();
        await reader.CopyToAsync(plain, Ct);
        return plain.ToArray();
    }

    private async Task<string> SaveAsync(byte[] copy)
    {
        string path = Path.Combine(_folder, "copy.understudy-vault");
        await File.WriteAllBytesAsync(path, copy, Ct);
        return path;
    }

    private async Task<string> WhyNotAsync(string copy, string key) =>
        (await Assert.ThrowsAsync<ErrorException>(() => VaultRestore.RunAsync(copy, key, Path.Combine(_folder, "vault"), TimeProvider.System, Ct))).Error.Code;
}
