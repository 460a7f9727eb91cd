using System.Text.Json.Serialization;

namespace Understudy.Model;

/// <summary>What kind of no it was; decides the exit code and the HTTP status.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ErrorKind>))]
public enum ErrorKind
{
    [JsonStringEnumMemberName("failed")] Failed,
    [JsonStringEnumMemberName("wrong use")] WrongUse,
    [JsonStringEnumMemberName("refused")] Refused,
    [JsonStringEnumMemberName("timed out")] TimedOut,
    [JsonStringEnumMemberName("no such thing")] NoSuchThing,
    [JsonStringEnumMemberName("not allowed")] NotAllowed,
}

/// <summary>An error as people read it: what happened, why, and what to do next. The code is for programs and search.</summary>
public sealed record ErrorInfo(ErrorKind Kind, string Code, string What, string Why, string Next)
{
    public override string ToString() => $"{What}: {Why} {Next} ({Code})";
}

/// <summary>Carries an <see cref="ErrorInfo"/> from where it was found to the edge that shows it.</summary>
public sealed class ErrorException(ErrorInfo error, Exception? inner = null) : Exception(error.ToString(), inner)
{
    public ErrorInfo Error { get; } = error;
}

/// <summary>Exit codes of the command line (spec section 13).</summary>
public enum ExitCode
{
    Done = 0,
    Failed = 1,
    WrongUse = 2,
    Refused = 3,
    TimedOut = 4,
    NoSuchThing = 5,
}

public static class ErrorKindExtensions
{
    public static ExitCode ToExitCode(this ErrorKind kind) => kind switch
    {
        ErrorKind.WrongUse => ExitCode.WrongUse,
        ErrorKind.Refused or ErrorKind.NotAllowed => ExitCode.Refused,
        ErrorKind.TimedOut => ExitCode.TimedOut,
        ErrorKind.NoSuchThing => ExitCode.NoSuchThing,
        _ => ExitCode.Failed,
    };
}
