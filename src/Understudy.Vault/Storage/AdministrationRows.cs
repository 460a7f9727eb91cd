namespace Understudy.Vault.Storage;

// Rows that administering hosts and the vault itself needs; see Rows.cs.

/// <summary>A copy of the vault's state that a host has.</summary>
internal sealed class VaultCopyRow
{
    public Guid HostId { get; set; }

    public required string Name { get; set; }

    public DateTimeOffset TakenAt { get; set; }

    public long Bytes { get; set; }
}
