using System.Runtime.InteropServices;
using Understudy.Bench;
using Understudy.Blocks;

// Leaves after Ctrl-C or a time limit by the same way as at the end, so that nothing it started stays.
using CancellationTokenSource stop = new(BenchLimits.WholeRun);
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, EndAsAsked);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, EndAsAsked);
try
{
    BenchOptions options = BenchOptions.Parse(args);
    IReadOnlyList<ResultRow> rows = await Comparison.RunAsync(options.Names, stop.Token);
    Report.Print(rows);
    if (options.JsonFile is { } file)
    {
        Report.Write(rows, file);
    }

    return 0;
}
catch (WrongUseException wrong)
{
    Console.Error.WriteLine(wrong.Message);
    return 2;
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    Console.Error.WriteLine($"bench: not finished within {BenchLimits.WholeRun.TotalSeconds:0} s, or ended by a signal; numbers of half a run are not shown");
    return 4;
}
catch (Exception failure) when (failure is InvalidOperationException or UnderstudyException or IOException)
{
    Console.Error.WriteLine($"bench: {failure.Message}");
    return 1;
}

void EndAsAsked(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}
