namespace Understudy.Api.Rest;

/// <param name="Every">How often one is made, as 1h.</param>
/// <param name="KeyId">Which recovery key opens them.</param>
/// <param name="Copies">Newest first.</param>
public sealed record VaultCopiesDto(string Every, string KeyId, IReadOnlyList<VaultCopyDto> Copies);

/// <param name="Name">File in <c>vault-copies</c> of the agent's data folder on that host.</param>
public sealed record VaultCopyDto(string Host, string Name, DateTimeOffset TakenAt, long Bytes);

/// <summary>What `understudy server restore` has made.</summary>
/// <param name="EndedJobs">Under way when the copy was taken; what they did since is not known.</param>
public sealed record RestoredVaultDto(string Name, DateTimeOffset TakenAt, string DataFolder, IReadOnlyList<string> Hosts, IReadOnlyList<string> EndedJobs);
