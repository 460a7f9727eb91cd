namespace Understudy.CommandLine;

/// <summary>Where a command reads and writes; a test gives its own.</summary>
internal sealed record CommandIo(TextWriter Out, TextWriter Error, bool Interactive, IReadOnlyDictionary<string, string> Environment)
{
    /// <summary>The terminal, or the pipe, this process was started with.</summary>
    public static CommandIo Console { get; } = new(
        System.Console.Out,
        System.Console.Error,
        !System.Console.IsOutputRedirected && !System.Console.IsErrorRedirected,
        System.Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>()
            .ToDictionary(e => (string)e.Key, e => (string?)e.Value ?? ""));

    public string? Variable(string name) => Environment.TryGetValue(name, out string? value) && value.Length > 0 ? value : null;
}
