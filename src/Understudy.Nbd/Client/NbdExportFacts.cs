using Understudy.Nbd.Protocol;

namespace Understudy.Nbd.Client;

/// <summary>What the handshake found out about the export.</summary>
internal sealed record NbdExportFacts(
    long SizeBytes,
    TransmissionFlags Flags,
    uint MinBlockBytes,
    uint MaxPayloadBytes,
    bool StructuredReplies,
    IReadOnlyDictionary<string, uint> Contexts)
{
    /// <summary>Checks what the server said before anything is sized by it.</summary>
    public static NbdExportFacts Checked(
        string subject, ulong size, ushort flags, (uint Min, uint Max) blocks, bool structured, Dictionary<string, uint> contexts)
    {
        if (size > long.MaxValue)
        {
            throw NbdFault.Nonsense(subject, $"an export of {size} bytes");
        }

        if (!uint.IsPow2(blocks.Min) || blocks.Min > 64 * 1024 || blocks.Max < blocks.Min)
        {
            throw NbdFault.Nonsense(subject, $"block sizes from {blocks.Min} to {blocks.Max}");
        }

        uint max = Math.Min(blocks.Max, NbdLimits.MaxPayloadBytes) / blocks.Min * blocks.Min;
        return new NbdExportFacts((long)size, (TransmissionFlags)flags, blocks.Min, max, structured, contexts);
    }

    public bool Has(TransmissionFlags flag) => (Flags & flag) != 0;
}
