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

    /// <summary>Asks it to end, and kills it when it has not after <paramref name="limit"/>. Returns when it is gone.</summary>
    public static async ValueTask EndAsync(RunningProcess process, TimeSpan limit, CancellationToken cancellationToken)
    {
        PosixCalls.Signal(process.Id, PosixCalls.Terminate);
        long deadline = Environment.TickCount64 + (long)limit.TotalMilliseconds;
        bool killed = false;
        using PeriodicTimer timer = new(Look);
        while (Find(process.Id) is { } still && still.StartTicks == process.StartTicks)
        {
            if (!killed && Environment.TickCount64 > deadline)
            {
                PosixCalls.Signal(process.Id, PosixCalls.KillNow);
                killed = true;
            }

            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }
}

/// <param name="StartTicks">With the id the process's identity: ids are used again, start times are not.</param>
internal sealed record RunningProcess(int Id, ulong StartTicks, IReadOnlyList<string> Arguments);
