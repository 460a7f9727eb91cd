using Understudy.Model;

namespace Understudy.Api.Rest;

/// <summary>
/// RFC 9457 problem details with our four parts: what happened, why, what next, and a stable code. Title equals What and
/// Detail equals Why, so that tools that know only the standard read something sensible.
/// </summary>
public sealed record ProblemDto(
    string Type,
    string Title,
    int Status,
    string Detail,
    ErrorKind Kind,
    string Code,
    string What,
    string Why,
    string Next)
{
    public const string ContentType = "application/problem+json";

    public static ProblemDto From(ErrorInfo error, int status) => new(
        $"urn:understudy:error:{error.Code}", error.What, status, error.Why, error.Kind, error.Code, error.What, error.Why, error.Next);

    public ErrorInfo ToError() => new(Kind, Code, What, Why, Next);
}

public sealed record ErrorDto(ErrorKind Kind, string Code, string What, string Why, string Next)
{
    public static ErrorDto? From(ErrorInfo? error) =>
        error is null ? null : new ErrorDto(error.Kind, error.Code, error.What, error.Why, error.Next);

    public ErrorInfo ToError() => new(Kind, Code, What, Why, Next);
}
