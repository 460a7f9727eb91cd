using Understudy.Protection.Source;

namespace Understudy.Protection.Tests.Source;

/// <summary>Every combination a start can find, written out once more by hand.</summary>
public sealed class RecoveryRulesTests
{
    private static readonly CheckpointSight[] Sights = Enum.GetValues<CheckpointSight>();

    /// <summary>Rows: spool; columns: the old checkpoint; one letter for each sight of the new one (none, listed, missing,
    /// unknown). G go on, D deliver, U give up, R resynchronise, - cannot be.</summary>
    private static readonly Dictionary<(SpoolSight Spool, CheckpointSight Old), string> Table = new()
    {
        [(SpoolSight.None, CheckpointSight.None)] = "GGGG",
        [(SpoolSight.None, CheckpointSight.Listed)] = "GGGG",
        [(SpoolSight.None, CheckpointSight.Missing)] = "RRRR",
        [(SpoolSight.None, CheckpointSight.Unknown)] = "GGGG",
        [(SpoolSight.Whole, CheckpointSight.None)] = "DDUD",
        [(SpoolSight.Whole, CheckpointSight.Listed)] = "DDUD",
        [(SpoolSight.Whole, CheckpointSight.Missing)] = "DDDD",
        [(SpoolSight.Whole, CheckpointSight.Unknown)] = "DDDD",
        [(SpoolSight.Broken, CheckpointSight.None)] = "UUUU",
        [(SpoolSight.Broken, CheckpointSight.Listed)] = "UUUU",
        [(SpoolSight.Broken, CheckpointSight.Missing)] = "RRRR",
        [(SpoolSight.Broken, CheckpointSight.Unknown)] = "UUUU",
    };

    [Fact]
    public void Every_combination_has_exactly_the_action_of_the_table()
    {
        foreach (SpoolSight spool in Enum.GetValues<SpoolSight>())
        {
            foreach (CheckpointSight old in Sights)
            {
                foreach (CheckpointSight cut in Sights)
                {
                    char expected = Table[(spool, old)][(int)cut];
                    Assert.Equal((spool, old, cut, expected), (spool, old, cut, Letter(spool, old, cut)));
                }
            }
        }
    }

    private static char Letter(SpoolSight spool, CheckpointSight old, CheckpointSight cut)
    {
        try
        {
            return RecoveryRules.Decide(spool, old, cut) switch
            {
                RecoveryAction.GoOn => 'G',
                RecoveryAction.Deliver => 'D',
                RecoveryAction.GiveUp => 'U',
                RecoveryAction.Resynchronise => 'R',
                _ => '?',
            };
        }
        catch (System.Diagnostics.UnreachableException)
        {
            return '-';
        }
    }
}
