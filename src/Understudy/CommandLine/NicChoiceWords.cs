using System.Security.Cryptography;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.CommandLine;

/// <summary>One NIC's choices on the command line: <c>MAC=NETWORK[,mac=ADDRESS|new|keep][,test=NETWORK]</c> (CFG-6).</summary>
internal static class NicChoiceWords
{
    private const string New = "new";

    /// <exception cref="ErrorException">It is written otherwise, or asks for what nothing here could carry out.</exception>
    public static NicChoiceDto Read(string text)
    {
        string[] parts = text.Split(',');
        (string mac, string network) = Pair(parts[0], text);
        NicChoiceDto choice = new(mac, network, null, null);
        foreach (string part in parts.Skip(1))
        {
            (string key, string value) = Pair(part, text);
            choice = key switch
            {
                "mac" => choice with { NewMac = value == New ? MakeAddress() : value },
                "test" => choice with { TestNetwork = value },
                "ip" or "gateway" or "dns" => throw new ErrorException(Errors.BadValue(
                    "--nic", text, $"{key} is inside the guest, and nothing of this version changes it there; use the guest's own DHCP, or change it after the failover")),
                _ => throw Unreadable(text),
            };
        }

        return choice;
    }

    /// <summary>From QEMU's own range, 52:54:00.</summary>
    private static string MakeAddress()
    {
        byte[] random = RandomNumberGenerator.GetBytes(3);
        return $"52:54:00:{random[0]:x2}:{random[1]:x2}:{random[2]:x2}";
    }

    private static (string Key, string Value) Pair(string part, string text)
    {
        int equals = part.IndexOf('=', StringComparison.Ordinal);
        return equals > 0 && equals < part.Length - 1 ? (part[..equals], part[(equals + 1)..]) : throw Unreadable(text);
    }

    private static ErrorException Unreadable(string text) =>
        new(Errors.BadValue("--nic", text, "it is written MAC=NETWORK, then perhaps ,mac=new, ,mac=ADDRESS or ,mac=keep and ,test=NETWORK"));
}
