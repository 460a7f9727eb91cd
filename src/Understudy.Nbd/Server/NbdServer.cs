using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Nbd.Protocol;
using Understudy.Nbd.Server;

namespace Understudy.Nbd;

/// <summary>
/// Serves disks to NBD clients, one accepted connection a call. A peer that breaks the protocol loses its connection and
/// nothing else; faults of a device are told to the client as error numbers. Limits: <see cref="NbdLimits"/> and
/// docs/protocols/nbd.md. Safe for concurrent use.
/// </summary>
public sealed partial class NbdServer(
    INbdExports exports, NbdServerOptions options, TimeProvider time, ILogger? logger = null)
{
    private readonly INbdExports _exports = exports;
    private readonly NbdServerOptions _options = options;
    private readonly TimeProvider _time = time;
    private readonly ILogger _logger = logger ?? NullLogger.Instance;

    public NbdServerOptions Options => _options;

    /// <summary>
    /// Serves until the client leaves, breaks the protocol, or <paramref name="cancellationToken"/> says stop; then closes
    /// the stream. Returns normally in all these cases. When it returns, no request touches a device any more.
    /// </summary>
    public async Task ServeAsync(Stream stream, CancellationToken cancellationToken)
    {
        await using Stream owned = stream;
        using NbdInput input = new(stream);
        try
        {
            if (await ChooseAsync(stream, input, cancellationToken) is { } chosen)
            {
                Log.Opened(_logger, chosen.Name, chosen.Device.SizeBytes, chosen.Device.IsReadOnly);
                await new NbdTransmission(stream, input, chosen, _logger).RunAsync(cancellationToken);
                Log.Closed(_logger, chosen.Name);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Log.Stopped(_logger);
        }
        catch (NbdPeerException nonsense)
        {
            Log.HungUp(_logger, nonsense.Message);
        }
        catch (Exception exception) when (NbdFault.IsConnectionFault(exception))
        {
            Log.Lost(_logger, exception.Message);
        }
    }

    private async ValueTask<ChosenExport?> ChooseAsync(Stream stream, NbdInput input, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = new(_options.HandshakeLimit, _time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await new NbdServerHandshake(stream, input, _exports).RunAsync(both.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new NbdPeerException($"no export was chosen within {_options.HandshakeLimit}");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2001, LogLevel.Information, "NBD export '{Export}' opened: {SizeBytes} bytes, read-only {ReadOnly}")]
        public static partial void Opened(ILogger logger, string export, long sizeBytes, bool readOnly);

        [LoggerMessage(2002, LogLevel.Information, "NBD export '{Export}' closed by its client")]
        public static partial void Closed(ILogger logger, string export);

        [LoggerMessage(2003, LogLevel.Information, "NBD connection ended: the server stops")]
        public static partial void Stopped(ILogger logger);

        [LoggerMessage(2004, LogLevel.Warning, "NBD connection ended by us: {Why}")]
        public static partial void HungUp(ILogger logger, string why);

        [LoggerMessage(2005, LogLevel.Warning, "NBD connection lost: {Why}")]
        public static partial void Lost(ILogger logger, string why);
    }
}

/// <summary>The peer broke the protocol or a limit; the connection ends, its reason goes to the log.</summary>
internal sealed class NbdPeerException(string message) : Exception(message);

/// <summary>What the handshake agreed on.</summary>
internal sealed record ChosenExport(string Name, IBlockDevice Device, bool StructuredReplies, bool AllocationContext);
