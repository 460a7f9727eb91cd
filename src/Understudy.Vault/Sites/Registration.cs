using Microsoft.EntityFrameworkCore;
using Understudy.Api.Registration;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Vault.Events;
using Understudy.Vault.Security;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Sites;

/// <summary>Keys that join hosts, joining, and renewing an agent's certificate (REG-2).</summary>
internal sealed class Registration(
    VaultStorage storage, VaultAuthority authority, VaultAddresses addresses, EventJournal events, IIdSource ids, TimeProvider time)
{
    private const string SecretPrefix = "usk_";
    private static readonly TimeSpan _defaultLife = TimeSpan.FromHours(24);
    private static readonly TimeSpan _longestLife = TimeSpan.FromDays(30);

    public async Task<RegistrationKeyFile> MakeKeyAsync(string siteName, string? validFor, CancellationToken cancellationToken)
    {
        TimeSpan life = _defaultLife;
        if (validFor is not null && (!Durations.TryParse(validFor, out life) || life <= TimeSpan.Zero || life > _longestLife))
        {
            throw new ErrorException(Errors.BadValue("validFor", validFor, $"a key is valid for up to {Durations.Format(_longestLife)}"));
        }

        await using VaultDb db = storage.Open();
        SiteRow site = await SiteStore.FindAsync(db, siteName, cancellationToken);
        string secret = Secrets.Make(SecretPrefix);
        DateTimeOffset now = time.GetUtcNow();
        RegistrationKeyRow key = new()
        {
            Id = ids.NewGuid(),
            SiteId = site.Id,
            SecretHash = Secrets.Hash(secret),
            CreatedAt = now,
            ExpiresAt = now + life,
        };
        db.RegistrationKeys.Add(key);
        await db.SaveChangesAsync(cancellationToken);
        return new RegistrationKeyFile(
            RegistrationKeyFile.FormatName, addresses.VaultName, addresses.PublicUrls, authority.CertificatePem, site.Name, secret, key.ExpiresAt);
    }

    public async Task<JoinedDto> JoinAsync(JoinDto request, CancellationToken cancellationToken)
    {
        Require(request.HostName, "hostName");
        Require(request.ReplicationEndpoint, "replicationEndpoint");
        Require(request.CertificateRequest, "certificateRequest");
        byte[] hash = Secrets.Hash(request.Secret ?? "");
        HostId host = new(ids.NewGuid());
        await using VaultDb db = storage.Open();
        RegistrationKeyRow key = await db.RegistrationKeys.AsNoTracking().SingleOrDefaultAsync(row => row.SecretHash == hash, cancellationToken)
            ?? throw new ErrorException(Errors.KeyUnknown);
        CheckUnused(key, key.UsedByHost is { } user ? await HostNameAsync(db, user, cancellationToken) : null);

        // Everything that can be refused is, before the key is used up.
        string name = request.DisplayName ?? request.HostName;
        HostSettings.CheckName(name);
        if (await db.Hosts.AnyAsync(row => row.Name == name, cancellationToken))
        {
            throw new ErrorException(Errors.Exists("host", name));
        }

        string certificate = authority.SignAgent(request.CertificateRequest, host, request.Names ?? []);
        SiteRow site = await db.Sites.SingleAsync(row => row.Id == key.SiteId, cancellationToken);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        DateTimeOffset now = time.GetUtcNow();
        int taken = await db.RegistrationKeys.Where(row => row.Id == key.Id && row.UsedAt == null)
            .ExecuteUpdateAsync(row => row.SetProperty(r => r.UsedAt, now).SetProperty(r => r.UsedByHost, host.Value), cancellationToken);
        if (taken == 0)
        {
            throw new ErrorException(Errors.KeyUsed("another host at the same moment"));
        }

        db.Hosts.Add(new HostRow { Id = host.Value, SiteId = site.Id, Name = name, ReplicationEndpoint = request.ReplicationEndpoint, JoinedAt = now });
        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        await events.AddAsync(HealthLevel.Normal, "host-joined", null, host.Value, $"{name} joined site {site.Name}.", CancellationToken.None);
        return new JoinedDto(host.Value, site.Name, name, certificate, authority.CertificatePem);
    }

    public RenewedCertificateDto Renew(HostId host, RenewCertificateDto request)
    {
        Require(request.CertificateRequest, "certificateRequest");
        return new RenewedCertificateDto(authority.SignAgent(request.CertificateRequest, host, request.Names ?? []), authority.CertificatePem);
    }

    private void CheckUnused(RegistrationKeyRow key, string? usedBy)
    {
        if (key.UsedAt is not null)
        {
            throw new ErrorException(Errors.KeyUsed(usedBy ?? "a host that has been removed"));
        }

        if (key.ExpiresAt <= time.GetUtcNow())
        {
            throw new ErrorException(Errors.KeyExpired(key.ExpiresAt));
        }
    }

    private static Task<string?> HostNameAsync(VaultDb db, Guid host, CancellationToken cancellationToken) =>
        db.Hosts.Where(row => row.Id == host).Select(row => row.Name).SingleOrDefaultAsync(cancellationToken);

    private static void Require(string? value, string field)
    {
        if (string.IsNullOrWhiteSpace(value))
        {
            throw new ErrorException(Errors.MissingValue(field));
        }
    }
}

/// <summary>Under which name and addresses the vault is known.</summary>
internal sealed record VaultAddresses(string VaultName, IReadOnlyList<string> PublicUrls);
