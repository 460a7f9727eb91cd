using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Understudy.Api.Control;
using Understudy.Api.Json;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.Vault.Rest;

/// <summary>Errors as problem details; the one place where a kind of error becomes an HTTP status.</summary>
internal static partial class Problems
{
    public static int StatusOf(ErrorKind kind) => kind switch
    {
        ErrorKind.WrongUse => StatusCodes.Status400BadRequest,
        ErrorKind.NotAllowed => StatusCodes.Status403Forbidden,
        ErrorKind.NoSuchThing => StatusCodes.Status404NotFound,
        ErrorKind.Refused => StatusCodes.Status409Conflict,
        ErrorKind.Failed => StatusCodes.Status500InternalServerError,
        ErrorKind.TimedOut => StatusCodes.Status504GatewayTimeout,
        _ => throw new UnreachableException($"error kind {kind}"),
    };

    public static Task WriteAsync(HttpContext context, ErrorInfo error, int? status = null)
    {
        int code = status ?? StatusOf(error.Kind);
        context.Response.StatusCode = code;
        context.Response.Headers[ControlLimits.ErrorHeader] = error.Code; // a refused WebSocket shows its headers and not its body
        return context.Response.WriteAsJsonAsync(ProblemDto.From(error, code), ApiJson.Default.ProblemDto, ProblemDto.ContentType, context.RequestAborted);
    }

    /// <summary>Middleware: whatever an endpoint throws leaves as a problem with what, why and next.</summary>
    public static async Task HandleAsync(HttpContext context, RequestDelegate next, ILogger logger)
    {
        try
        {
            await next(context);
            if (!context.Response.HasStarted && WithoutBody(context) is { } error)
            {
                await WriteAsync(context, error, context.Response.StatusCode);
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody reads an answer any more.
        }
        catch (ErrorException known) when (!context.Response.HasStarted)
        {
            await WriteAsync(context, known.Error);
        }
        catch (BadHttpRequestException unreadable) when (!context.Response.HasStarted)
        {
            await WriteAsync(context, Errors.BadRequest(unreadable.InnerException is JsonException json ? WordsOf(json) : unreadable.InnerException?.Message ?? unreadable.Message));
        }
        catch (Exception fault) when (!context.Response.HasStarted)
        {
            Unexpected(logger, context.Request.Method, context.Request.Path, fault);
            await WriteAsync(context, Errors.Internal(fault.Message));
        }
    }

    /// <summary>What is wrong with a body, without the names of our types.</summary>
    private static string WordsOf(JsonException unreadable) =>
        UnknownField().Match(unreadable.Message) is { Success: true } field ? $"the body has a field '{field.Groups[1].Value}', which this call does not know"
        : unreadable.Message.Contains("could not be converted", StringComparison.Ordinal) ? $"the field '{unreadable.Path?.TrimStart('$', '.')}' has a value that it cannot take"
        : unreadable.Message;

    /// <summary>The words of System.Text.Json for a member that no type has.</summary>
    [GeneratedRegex("^The JSON property '(.*?)' could not be mapped")]
    private static partial Regex UnknownField();

    /// <summary>What routing itself refused, and so without a word.</summary>
    private static ErrorInfo? WithoutBody(HttpContext context) => context.Response.StatusCode switch
    {
        StatusCodes.Status404NotFound => Errors.NotFound(PathOf(context)),
        StatusCodes.Status405MethodNotAllowed => Errors.BadRequest($"{PathOf(context)} does not take {context.Request.Method}"),
        StatusCodes.Status415UnsupportedMediaType => Errors.BadRequest("the body must be application/json"),
        _ => null,
    };

    /// <summary>As it was meant, not as it is written in an address.</summary>
    private static string PathOf(HttpContext context) => context.Request.Path.Value ?? "/";

    [LoggerMessage(100, LogLevel.Error, "{Method} {Path} failed unexpectedly")]
    private static partial void Unexpected(ILogger logger, string method, string path, Exception fault);
}
