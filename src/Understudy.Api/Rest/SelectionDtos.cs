namespace Understudy.Api.Rest;

/// <summary>Several VMs at once.</summary>
/// <param name="Vms">A rule such as "web*,tag:prod,!web-old"; all when left out.</param>
/// <param name="Tags">Every one of these has to be there as well.</param>
/// <param name="Preview">Say what would be done, and start nothing.</param>
public sealed record SelectDto(string? Vms = null, IReadOnlyList<string>? Tags = null, bool Preview = false);

/// <param name="Vms">As in a selection. VMs of the target itself are never meant.</param>
/// <param name="Protect">How each is protected; a name and NICs are for one VM only.</param>
public sealed record ProtectSelectedDto(ProtectDto Protect, string? Vms = null, IReadOnlyList<string>? Tags = null, bool Preview = false);

/// <param name="Selection">As it was understood.</param>
public sealed record SelectionDto(string Selection, bool Preview, IReadOnlyList<SelectedVmDto> Vms);

/// <param name="Host">Where it was seen, at its source when it is protected.</param>
/// <param name="Job">That was started for it; null in a preview, and when it was refused.</param>
/// <param name="Error">Why it was, or would be, refused.</param>
public sealed record SelectedVmDto(Guid Id, string Vm, string Host, JobDto? Job, ErrorDto? Error);
