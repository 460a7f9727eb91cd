using Understudy.Blocks;

namespace Understudy.Protection.Ports;

/// <summary>An image could not be made, read or changed, or its daemon not started; the tool's own words are in the message.</summary>
public sealed class ImageToolException(FaultClass faultClass, string message, string? remedy = null, Exception? inner = null)
    : UnderstudyException(faultClass, message, remedy, inner);
