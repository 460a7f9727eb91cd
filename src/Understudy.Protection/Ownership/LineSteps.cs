using Understudy.Blocks.Identity;

namespace Understudy.Protection.Ownership;

/// <summary>
/// What follows a line. Sides that do not hear of each other mint on, and the newer line stands when they meet; so a human's
/// word past an owner that cannot be asked must be newer than all that can have been minted there in the ordinary course.
/// It begins the next block of counters; everything else follows its predecessor by one.
/// </summary>
public static class LineSteps
{
    /// <summary>Lines that can follow one claim by failovers, changes of the point and cancels: more than anybody gives orders.
    /// It leaves room for 4095 claims of one VM; then counting refuses, and the VM has to be protected anew.</summary>
    public const uint ClaimStep = 1 << 20;

    public static LineId Next(LineId after, UInt128 random) => new(checked(after.Counter + 1), random);

    public static LineId Claim(LineId after, UInt128 random) => new(checked(((after.Counter / ClaimStep) + 1) * ClaimStep), random);
}
