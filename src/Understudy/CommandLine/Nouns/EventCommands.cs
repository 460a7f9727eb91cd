using System.CommandLine;
using System.Text.Json;
using Understudy.Api.Json;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

internal static class EventCommands
{
    private static readonly Option<long?> _after = new("--after") { Description = "Events after this number (list: the newest without it)" };
    private static readonly Option<int> _limit = new("--limit") { Description = "How many at most", DefaultValueFactory = _ => 100 };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "event",
        "What happened",
        make.Verb("list", "List the newest events, newest last", async (c, ct) => c.Show(
            await c.Vault.ListEventsAsync(c.Get(_after), c.Get(_limit), ct), CommandContext.Types.IReadOnlyListEventDto, List), _after, _limit),
        make.Verb("watch", "Print events as they happen", WatchAsync, _after));

    private static async Task<ExitCode> WatchAsync(CommandContext c, CancellationToken ct)
    {
        await foreach (EventDto e in c.Vault.WatchEventsAsync(c.Get(_after) ?? 0, ct))
        {
            // One object a line, so that a program can read the stream as it comes.
            c.Io.Out.WriteLine(c.Json
                ? JsonSerializer.Serialize(e, ApiJson.Default.EventDto)
                : $"{Show.Time(e.At)}  {e.Severity.Word(),-8}  {e.Vm ?? e.Host ?? "-"}  {e.Text}");
        }

        return ExitCode.Done;
    }

    private static void List(IReadOnlyList<EventDto> events, TextWriter output)
    {
        Table table = new("event", "at", "severity", "vm", "host", "what");
        foreach (EventDto e in events)
        {
            table.Row($"{e.Id}", Show.Time(e.At), e.Severity.Word(), e.Vm, e.Host, e.Text);
        }

        table.WriteTo(output);
    }
}
