using System.Security.Cryptography;
using Understudy.Agent;
using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.Tests.Agent;

/// <summary>REG-8 at the host: a copy of the vault is whole or is none, and old ones go.</summary>
public sealed class VaultCopiesTests : IDisposable
{
    private readonly string _folder = Path.Combine(Directory.CreateTempSubdirectory("us-agent-").FullName, "vault-copies");

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_folder)!, recursive: true); // a folder made above

    [Fact]
    public async Task Parts_become_a_copy_when_the_last_one_is_here()
    {
        byte[] content = RandomNumberGenerator.GetBytes(VaultCopyRequest.MaxPartBytes + 1000);

        await TakeAsync("main_20261121T100000Z", content, parts: 1);
        Assert.Equal(["main_20261121T100000Z.understudy-vault.partial"], Names());
        await TakeAsync("main_20261121T100000Z", content, parts: 2);

        Assert.Equal(["main_20261121T100000Z.understudy-vault"], Names());
        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(_folder, Names()[0]), Ct));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_folder));
    }

    [Fact]
    public async Task The_newest_two_of_a_vault_are_kept_and_those_of_another_stay()
    {
        await TakeAsync("other_20200101T000000Z", [1]);
        foreach (int hour in (int[])[10, 11, 12, 13])
        {
            await TakeAsync($"main_20261121T{hour}0000Z", [1]);
        }

        Assert.Equal(
            ["main_20261121T120000Z.understudy-vault", "main_20261121T130000Z.understudy-vault", "other_20200101T000000Z.understudy-vault"], Names());
    }

    [Fact]
    public async Task What_a_broken_connection_left_goes_with_the_next_copy_and_a_part_again_is_the_same()
    {
        byte[] content = RandomNumberGenerator.GetBytes((2 * VaultCopyRequest.MaxPartBytes) + 7);
        await TakeAsync("main_20261121T090000Z", content, parts: 2);
        await TakeAsync("main_20261121T100000Z", content, parts: 2);
        await TakeAsync("main_20261121T100000Z", content);

        Assert.Equal(["main_20261121T100000Z.understudy-vault"], Names());
        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(_folder, Names()[0]), Ct));
    }

    [Fact]
    public async Task A_copy_that_is_not_what_the_vault_sent_is_refused_and_the_older_ones_stay()
    {
        await TakeAsync("main_20261121T100000Z", [1, 2, 3]);
        VaultCopyRequest wrong = new("main_20261121T110000Z.understudy-vault", 0, 1, [4, 5, 6], Sum([1, 2, 3]));

        ErrorException refused = await Assert.ThrowsAsync<ErrorException>(() => new VaultCopies(_folder).TakeAsync(wrong, Ct));

        Assert.Equal("vault-copy-unusable", refused.Error.Code);
        Assert.Contains("main_20261121T100000Z.understudy-vault", Names());
        Assert.DoesNotContain(wrong.Name, Names());
    }

    [Theory]
    [InlineData("../main_20261121T100000Z.understudy-vault")]
    [InlineData("main.understudy-vault")]
    [InlineData("/etc/passwd")]
    [InlineData("main_20261121T100000Z.understudy-vault.partial")]
    [InlineData("")]
    public async Task A_name_that_is_no_copys_reaches_no_file(string name)
    {
        await Assert.ThrowsAsync<ErrorException>(() => new VaultCopies(_folder).TakeAsync(new VaultCopyRequest(name, 0, 1, [1], Sum([1])), Ct));

        Assert.False(Directory.Exists(_folder));
    }

    [Fact]
    public async Task A_part_that_skips_one_is_refused()
    {
        VaultCopyRequest second = new("main_20261121T100000Z.understudy-vault", 1, 2, [1], Sum([1]));

        Assert.Equal("vault-copy-unusable", (await Assert.ThrowsAsync<ErrorException>(() => new VaultCopies(_folder).TakeAsync(second, Ct))).Error.Code);
    }

    private async Task TakeAsync(string name, byte[] content, int parts = int.MaxValue)
    {
        VaultCopies copies = new(_folder);
        int of = (content.Length + VaultCopyRequest.MaxPartBytes - 1) / VaultCopyRequest.MaxPartBytes;
        for (int part = 0; part < Math.Min(of, parts); part++)
        {
            byte[] bytes = [.. content.Skip(part * VaultCopyRequest.MaxPartBytes).Take(VaultCopyRequest.MaxPartBytes)];
            await copies.TakeAsync(new VaultCopyRequest(name + ".understudy-vault", part, of, bytes, Sum(content)), Ct);
        }
    }

    private string[] Names() => [.. Directory.EnumerateFiles(_folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    private static string Sum(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));
}
