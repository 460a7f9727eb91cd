namespace Understudy.Agent;

/// <summary>One line a message on the output, which journald or a file keeps; level from UNDERSTUDY_LOG (default Information).</summary>
internal static class AgentLogging
{
    public static ILoggerFactory Create() => LoggerFactory.Create(Configure);

    public static void Configure(ILoggingBuilder builder) =>
        Configure(builder, Enum.TryParse(Environment.GetEnvironmentVariable("UNDERSTUDY_LOG"), ignoreCase: true, out LogLevel level) ? level : LogLevel.Information);

    /// <summary>The web server says five lines of each request: only to whoever asks for more than the usual. Why it does not start,
    /// the command itself says, without a stack.</summary>
    public static void Configure(ILoggingBuilder builder, LogLevel level) => builder
        .SetMinimumLevel(level)
        .AddFilter("Microsoft.AspNetCore", level is LogLevel.Information ? LogLevel.Warning : level)
        .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None)
        .AddSimpleConsole(options =>
        {
            options.SingleLine = true;
            options.UseUtcTimestamp = true;
            options.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
        });
}
