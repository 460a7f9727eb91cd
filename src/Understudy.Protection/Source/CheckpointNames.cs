using System.Globalization;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Source;

/// <summary>
/// Names of our libvirt checkpoints: <c>us-&lt;8 hex of the replica&gt;-&lt;epoch milliseconds, 13 digits&gt;</c>. The
/// replica keeps two protections of one VM apart; equal width keeps names of one replica in order. The milliseconds only
/// ever rise, whatever the clock does.
/// </summary>
internal static class CheckpointNames
{
    private const int Digits = 13;

    public static string Make(ReplicaId replica, long milliseconds) =>
        string.Create(CultureInfo.InvariantCulture, $"{PrefixOf(replica)}{milliseconds:d13}");

    /// <summary>Null when the checkpoint is not one this replica's source has made.</summary>
    public static long? MillisecondsOf(ReplicaId replica, string name) =>
        name.StartsWith(PrefixOf(replica), StringComparison.Ordinal)
        && name.Length == PrefixOf(replica).Length + Digits
        && long.TryParse(name.AsSpan(PrefixOf(replica).Length), NumberStyles.None, CultureInfo.InvariantCulture, out long milliseconds)
            ? milliseconds
            : null;

    private static string PrefixOf(ReplicaId replica) => $"us-{replica.Value.ToString("N")[..8]}-";
}
