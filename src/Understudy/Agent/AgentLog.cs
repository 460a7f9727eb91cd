namespace Understudy.Agent;

internal static partial class AgentLog
{
    [LoggerMessage(1, LogLevel.Information, "Agent {Name} ({HostId}) of site {Site} takes replication at {EndPoint}")]
    public static partial void Started(ILogger logger, string name, Guid hostId, string site, string endPoint);

    [LoggerMessage(2, LogLevel.Warning, "A connection from {Remote} was turned away: {Why}")]
    public static partial void PeerTurnedAway(ILogger logger, string remote, string why);

    [LoggerMessage(3, LogLevel.Warning, "The hypervisor cannot be asked: {Why}")]
    public static partial void HypervisorUnreachable(ILogger logger, string why);

    [LoggerMessage(4, LogLevel.Information, "Renewed the certificate; it is good until {Until}")]
    public static partial void CertificateRenewed(ILogger logger, DateTimeOffset until);

    [LoggerMessage(5, LogLevel.Warning, "The certificate could not be renewed: {Why}; tried again in an hour")]
    public static partial void CertificateNotRenewed(ILogger logger, string why);

    [LoggerMessage(6, LogLevel.Error, "{Subject} stopped: {Why}")]
    public static partial void PartStopped(ILogger logger, string subject, string why, Exception fault);

    [LoggerMessage(8, LogLevel.Warning, "News for the vault could not be made: {Why}")]
    public static partial void NewsNotMade(ILogger logger, string why, Exception fault);

    [LoggerMessage(9, LogLevel.Error, "A replication connection from {Remote} ended by a fault of ours: {Why}")]
    public static partial void ConnectionBroke(ILogger logger, string remote, string why, Exception fault);

    [LoggerMessage(10, LogLevel.Warning, "No connection can be accepted now: {Why}")]
    public static partial void CannotAccept(ILogger logger, string why);

    [LoggerMessage(11, LogLevel.Warning, "The start guard is not in force: {Problem}")]
    public static partial void GuardNotInForce(ILogger logger, string problem);

    [LoggerMessage(12, LogLevel.Information, "The start guard is in force")]
    public static partial void GuardInForce(ILogger logger);

    [LoggerMessage(13, LogLevel.Information, "{What}")]
    public static partial void WayToVault(ILogger logger, string what);

    [LoggerMessage(15, LogLevel.Information, "Replication is taken in at {EndPoint}")]
    public static partial void PortOpen(ILogger logger, string endPoint);

    [LoggerMessage(16, LogLevel.Information, "Nothing listens at {EndPoint} any more: the other agents are dialled from here")]
    public static partial void PortClosed(ILogger logger, string endPoint);

    [LoggerMessage(7, LogLevel.Information, "{Subject} goes on from what it was doing before the restart")]
    public static partial void GoesOn(ILogger logger, string subject);
}
