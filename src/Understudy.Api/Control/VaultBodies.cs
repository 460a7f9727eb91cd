namespace Understudy.Api.Control;

/// <summary>Target: keep a part of the vault's encrypted state (REG-8). With the last part the copy is whole; the newest two are kept.</summary>
/// <param name="Name">File name of the copy: no folder in it.</param>
/// <param name="Part">From 0, in order: part 0 begins anew. A part sent again is the same; what is kept goes by name and sum.</param>
/// <param name="Of">Number of parts.</param>
/// <param name="Bytes">At most <see cref="MaxPartBytes"/>.</param>
/// <param name="Sha256">Of the whole copy, hexadecimal; a copy that does not match is not kept.</param>
public sealed record VaultCopyRequest(string Name, int Part, int Of, byte[] Bytes, string Sha256)
{
    /// <summary>With base64 a third larger, well inside a message of the control channel.</summary>
    public const int MaxPartBytes = 4 << 20;

    /// <summary>Copies of one vault that a host keeps: the newest, and the one before it.</summary>
    public const int Kept = 2;
}
