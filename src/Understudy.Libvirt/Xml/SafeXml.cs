using System.Xml;
using System.Xml.Linq;

namespace Understudy.Libvirt.Xml;

/// <summary>Parses XML of hypervisors and users: bounded, without document types, without fetching anything.</summary>
internal static class SafeXml
{
    /// <summary>A domain with hundreds of devices has well under a tenth of this.</summary>
    private const long LongestDocument = 4 * 1024 * 1024;

    private static readonly XmlReaderSettings Settings = new()
    {
        DtdProcessing = DtdProcessing.Prohibit,
        XmlResolver = null,
        MaxCharactersInDocument = LongestDocument,
    };

    /// <exception cref="XmlException">Not well-formed, has a document type, or is too long.</exception>
    public static XElement Parse(string xml)
    {
        using var reader = XmlReader.Create(new StringReader(xml), Settings);
        return XDocument.Load(reader, LoadOptions.None).Root!; // A well-formed document has a root.
    }

    public static string? Text(this XElement? element, string attribute) => element?.Attribute(attribute)?.Value;
}
