using System.ComponentModel;
using System.Text.Json;
using System.Xml;

namespace Understudy.Blocks;

/// <summary>A fault of the environment as the platform raised it, which no adapter has given a name: tried again like any other,
/// because what it met may pass.</summary>
public sealed class UnnamedFaultException(Exception fault) : UnderstudyException(FaultClass.Transient, fault.Message, "See the agent's log.", fault)
{
    /// <summary>Files, processes and words of other programs. Anything else is a fault of this one.</summary>
    public static bool IsOne(Exception fault) =>
        fault is IOException or UnauthorizedAccessException or Win32Exception or JsonException or XmlException or FormatException;
}
