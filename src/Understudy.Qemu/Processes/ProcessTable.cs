using System.Globalization;
using Understudy.Qemu.Native;

namespace Understudy.Qemu.Processes;

/// <summary>Processes that are not our children, seen through /proc.</summary>
internal static class ProcessTable
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(5);

    /// <summary>The process of that id, or null when it is gone or only its exit code is left (a zombie). A zombie with
    /// threads is still ending: it holds its files and locks, so it counts as running.</summary>
    public static RunningProcess? Find(int processId)
    {
        try
        {
            // Fields after the name in parentheses, which may itself hold spaces: state is the 1st, start time the 20th.
            string stat = File.ReadAllText($"/proc/{processId}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            if (fields[0] == "X" || (fields[0] == "Z" && Directory.GetDirectories($"/proc/{processId}/task").Length <= 1))
            {
                return null;
            }

            string[] arguments = File.ReadAllText($"/proc/{processId}/cmdline").Split('\0', StringSplitOptions.None);
            return new RunningProcess(processId, ulong.Parse(fields[19], CultureInfo.InvariantCulture), arguments[..^1]);
        }
        catch (IOException)
        {
            return null; // Gone, or going while we looked.
        }
    }

    /// <summary>Asks it to end, and kills it when it has not after <paramref name="limit"/>. True when it is gone; false when it
    /// still stands another limit later: the kernel ends no process in the middle of a disk operation.</summary>
    public static async ValueTask<bool> EndAsync(RunningProcess process, TimeSpan limit, Action<int, int> signal, CancellationToken cancellationToken)
    {
        signal(process.Id, PosixCalls.Terminate);
        if (await IsGoneAsync(process, limit, cancellationToken))
        {
            return true;
        }

        signal(process.Id, PosixCalls.KillNow);
        return await IsGoneAsync(process, limit, cancellationToken);
    }

    private static async ValueTask<bool> IsGoneAsync(RunningProcess process, TimeSpan limit, CancellationToken cancellationToken)
    {
        long deadline = Environment.TickCount64 + (long)limit.TotalMilliseconds;
        using PeriodicTimer timer = new(Look);
        while (Find(process.Id) is { } still && still.StartTicks == process.StartTicks)
        {
            if (Environment.TickCount64 > deadline)
            {
                return false;
            }

            await timer.WaitForNextTickAsync(cancellationToken);
        }

        return true;
    }
}

/// <param name="StartTicks">With the id the process's identity: ids are used again, start times are not.</param>
internal sealed record RunningProcess(int Id, ulong StartTicks, IReadOnlyList<string> Arguments);
