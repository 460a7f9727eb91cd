namespace Understudy.CommandLine;

/// <summary>Questions to the person at the terminal. Where nobody is there, the answer is null and the vault says what was missing.</summary>
internal static class Asking
{
    public static bool Can(CommandContext c) => c.Io.Interactive && !c.Json && !Console.IsInputRedirected;

    /// <summary>A word that must be typed in full; <c>--yes</c> never stands for it.</summary>
    public static async Task<string?> WordAsync(CommandContext c, string word, string toDo, CancellationToken ct)
    {
        if (!Can(c))
        {
            return null;
        }

        c.Io.Error.Write($"Type {word} to {toDo}: ");
        return (await Console.In.ReadLineAsync(ct))?.Trim();
    }

    /// <summary>An empty line is the default.</summary>
    public static async Task<string> TextAsync(CommandContext c, string question, string usual, CancellationToken ct)
    {
        c.Io.Error.Write($"{question} [{usual}]: ");
        return (await Console.In.ReadLineAsync(ct))?.Trim() is { Length: > 0 } answer ? answer : usual;
    }

    public static async Task<bool> YesAsync(CommandContext c, string question, CancellationToken ct)
    {
        if (!Can(c))
        {
            return false;
        }

        c.Io.Error.Write($"{question} [y/N] ");
        return (await Console.In.ReadLineAsync(ct))?.Trim() is "y" or "Y" or "yes";
    }
}
