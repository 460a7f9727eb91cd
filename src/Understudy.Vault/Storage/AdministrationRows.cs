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

/// <summary>A choice for two sites, the lesser id first; none is the default.</summary>
internal sealed class SiteLinkRow
{
    public Guid One { get; set; }

    public Guid Other { get; set; }

    /// <summary>The only one of the two that listens.</summary>
    public Guid Listens { get; set; }
}
