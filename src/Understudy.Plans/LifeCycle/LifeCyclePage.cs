using System.Diagnostics;
using System.Text;
using Understudy.Model;

namespace Understudy.Plans;

/// <summary>The life cycle as docs/operations/states.md shows it, from the table itself.</summary>
public static class LifeCyclePage
{
    /// <summary>A row a command, a column a state; cells say "yes" or one word for the refusal.</summary>
    public static string Table()
    {
        StringBuilder page = new();
        page.Append("| |").AppendJoin("|", LifeCycle.States.Select(state => $" {state.Word()} ")).Append("|\n");
        page.Append("|---|").Insert(page.Length, "---|", LifeCycle.States.Count).Append('\n');
        foreach (VmCommand command in Enum.GetValues<VmCommand>())
        {
            page.Append($"| {LifeCycle.WordOf(command)} |")
                .AppendJoin("|", LifeCycle.States.Select(state => $" {Cell(LifeCycle.Look(state, command))} "))
                .Append("|\n");
        }

        return page.ToString();
    }

    /// <summary>What each word in the table means: the refusal's reason and next step for a VM called web1 at beta.</summary>
    public static string Legend()
    {
        StringBuilder page = new("| word | why | what comes first |\n|---|---|---|\n");
        foreach (Verdict verdict in Enum.GetValues<Verdict>().Where(verdict => Cell(verdict) is not "yes"))
        {
            (string why, string next) = LifeCycle.Explain(verdict);
            page.Append($"| {Cell(verdict)} | {why} | {next} |\n");
        }

        return page.ToString();
    }

    private static string Cell(Verdict verdict) => verdict switch
    {
        Verdict.Go => "yes",
        Verdict.GoWhenFenced => "fenced",
        Verdict.GoWhenOwned => "owned",
        Verdict.GoUnlessStarting => "not starting",
        Verdict.GoWhenKept => "kept",
        Verdict.NoReplica => "none",
        Verdict.Already => "already",
        Verdict.NoPoint => "no point",
        Verdict.NotBegun => "not begun",
        Verdict.Reading => "reading",
        Verdict.Paused => "paused",
        Verdict.NotPaused => "not paused",
        Verdict.Full => "full",
        Verdict.NoTest => "no test",
        Verdict.Tested => "tested",
        Verdict.Begun => "begun",
        Verdict.AtTarget => "at target",
        Verdict.NotOver => "no failover",
        Verdict.Pending => "pending",
        Verdict.Committed => "committed",
        Verdict.NothingOut => "nothing out",
        Verdict.NoBranch => "no branch",
        Verdict.Mounted => "mounted",
        Verdict.Branched => "branched",
        Verdict.Merging => "merging",
        _ => throw new UnreachableException($"verdict {verdict}"),
    };
}
