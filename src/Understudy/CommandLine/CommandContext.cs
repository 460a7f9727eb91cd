using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Api.Json;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine;

/// <summary>What one run of a command has at hand: its words, its streams, and the vault when it asks for it.</summary>
internal sealed class CommandContext(ParseResult parse, CommandIo io) : IDisposable
{
    private VaultClient? _client;

    public CommandIo Io { get; } = io;

    public bool Json { get; } = parse.GetValue(GlobalOptions.Json);

    public bool NoWait { get; } = parse.GetValue(GlobalOptions.NoWait);

    /// <summary>Commands speak to people; what goes on beneath is said only where nobody is told otherwise.</summary>
    public ILogger Logger { get; } = NullLogger.Instance;

    public VaultClient Vault => _client ??= VaultAddress.Find(parse, Io).Connect();

    public T? Get<T>(Option<T> option) => parse.GetValue(option);

    public T Get<T>(Argument<T> argument) => parse.GetRequiredValue(argument);

    public T? GetOptional<T>(Argument<T?> argument) => parse.GetValue(argument);

    /// <summary>The answer, once: as JSON when asked for, for a person otherwise.</summary>
    public ExitCode Show<T>(T answer, JsonTypeInfo<T> type, Action<T, TextWriter> forPeople)
    {
        if (Json)
        {
            Io.Out.WriteLine(JsonSerializer.Serialize(answer, type));
        }
        else
        {
            forPeople(answer, Io.Out);
        }

        return ExitCode.Done;
    }

    /// <summary>For commands whose success has nothing to show.</summary>
    public ExitCode Say(string sentence)
    {
        Io.Out.WriteLine(Json ? "{}" : sentence);
        return ExitCode.Done;
    }

    /// <summary>Types that print indented; one place, so that every command's JSON looks alike.</summary>
    public static ApiJson Types => ApiJson.Indented;

    public void Dispose() => _client?.Dispose();
}
