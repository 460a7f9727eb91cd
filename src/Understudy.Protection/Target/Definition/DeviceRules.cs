using System.Globalization;
using System.Xml.Linq;

namespace Understudy.Protection.Target.Definition;

/// <summary>All other devices: what needs something of the source host is left out or given this host's equivalent.</summary>
internal static class DeviceRules
{
    private static readonly string[] Consoles = ["serial", "parallel", "console", "channel"];

    public static void Apply(XElement devices, DomainTransform transform, List<string> notes)
    {
        devices.Elements("emulator").Remove(); // libvirt names this host's own.
        foreach (XElement device in devices.Elements().ToArray())
        {
            if (LeftOut(device) is { } what)
            {
                device.Remove();
                notes.Add($"{what} was left out: it belongs to the source host.");
                continue;
            }

            // Aliases of the user's own ("ua-…") are part of the definition; the others are libvirt's for one run.
            LeaveOutRom(device, notes);
            device.Elements("alias").Where(alias => ((string?)alias.Attribute("name"))?.StartsWith("ua-", StringComparison.Ordinal) != true).Remove();
        }

        foreach (string kind in Consoles)
        {
            AdaptConsoles(devices, kind, transform);
        }

        foreach (XElement graphics in devices.Elements("graphics"))
        {
            AdaptGraphics(graphics);
        }

        LeaveOutAcceleration(devices, notes);
        foreach (XElement backend in devices.Elements("tpm").Elements("backend"))
        {
            AdaptTpm(backend, notes);
        }

        foreach (XElement cid in devices.Elements("vsock").Elements("cid"))
        {
            cid.RemoveAttributes();
            cid.SetAttributeValue("auto", "yes");
        }
    }

    /// <summary>What of a definition a recovered VM starts without, for whoever asks before there is a failover.</summary>
    public static IReadOnlyList<string> LeftBehind(XElement? devices) => [.. devices?.Elements().Select(LeftOut).OfType<string>() ?? []];

    private static string Address(XElement device)
    {
        XElement? address = device.Element("source")?.Element("address");
        return (string?)device.Attribute("type") switch
        {
            "pci" when address is not null => $" (PCI {Digits("domain")}:{Digits("bus")}:{Digits("slot")}.{Digits("function")})",
            { } type => $" ({type})",
            null => "",
        };

        string Digits(string name) => ((string?)address.Attribute(name) ?? "0").Replace("0x", "", StringComparison.Ordinal);
    }

    private static string? LeftOut(XElement device) => device.Name.LocalName switch
    {
        "hostdev" => $"A host device passed through{Address(device)}",
        "filesystem" => $"The shared folder {(string?)device.Element("target")?.Attribute("dir")}",
        "lease" => "A disk lease",
        "redirdev" when (string?)device.Attribute("type") != "spicevmc" => "A redirected USB device",
        "smartcard" when (string?)device.Attribute("mode") != "passthrough" => "A smartcard",
        "input" when (string?)device.Attribute("type") is "passthrough" or "evdev" => "A host input device",
        "tpm" when (string?)device.Element("backend")?.Attribute("type") != "emulator" => "The host's TPM",
        "shmem" => "Shared memory",
        "memory" when device.Element("source")?.Element("path") is not null => "Memory on a file",
        "audio" when (string?)device.Attribute("type") == "file" => "Sound into a file",
        "graphics" when (string?)device.Attribute("type") is "sdl" or "desktop" => "A window on the host's own screen",
        "graphics" when (string?)device.Attribute("type") == "egl-headless" => "Drawing by the host's graphics card",
        _ => null,
    };

    /// <summary>The boot code of a card comes with this host's QEMU; a file of the source's is not here, and one of this host's is
    /// nothing for the guest to read.</summary>
    private static void LeaveOutRom(XElement device, List<string> notes)
    {
        foreach (XAttribute file in device.Elements("rom").Attributes("file").ToArray())
        {
            notes.Add($"The option ROM {file.Value} of a device ({device.Name.LocalName}) was left out: QEMU's own is used.");
            file.Remove();
        }
    }

    /// <summary>Needs a graphics card of the host, at a path that is the source's. A guest that is shown by the processor starts
    /// everywhere.</summary>
    private static void LeaveOutAcceleration(XElement devices, List<string> notes)
    {
        XElement[] cards = [.. devices.Elements("graphics").Elements("gl")];
        XAttribute[] wanted = [.. devices.Elements("video").Elements("model").Elements("acceleration").Attributes()
            .Where(attribute => attribute is { Name.LocalName: "accel2d" or "accel3d", Value: "yes" } or { Name.LocalName: "rendernode" })];
        if (cards.Length + wanted.Length == 0)
        {
            return;
        }

        cards.Remove();
        foreach (XAttribute attribute in wanted)
        {
            if (attribute.Name.LocalName == "rendernode")
            {
                attribute.Remove();
            }
            else
            {
                attribute.Value = "no";
            }
        }

        notes.Add("Acceleration of graphics was left out: it needs a graphics card of the host.");
    }

    /// <summary>Where an emulated TPM keeps its state, and the key that it is encrypted with, are of the source host.</summary>
    private static void AdaptTpm(XElement backend, List<string> notes)
    {
        XElement[] own = [.. backend.Elements().Where(element => element.Name.LocalName is "source" or "encryption")];
        if (own.Length > 0)
        {
            own.Remove();
            notes.Add("Where the TPM keeps its state was left out, and its encryption with it: libvirt's own place is used.");
        }
    }

    private static void AdaptConsoles(XElement devices, string kind, DomainTransform transform)
    {
        int number = 0;
        foreach (XElement console in devices.Elements(kind))
        {
            string type = (string?)console.Attribute("type") ?? "pty";
            string log = string.Create(CultureInfo.InvariantCulture, $"{transform.LogFolder}/{transform.Name}-{kind}{number}.log");
            number++;
            console.Attribute("tty")?.Remove();
            console.Elements("log").Attributes("file").ToList().ForEach(file => file.Value = log + ".copy");
            switch (type)
            {
                case "file":
                    console.Elements("source").Remove();
                    console.AddFirst(new XElement("source", new XAttribute("path", log)));
                    break;
                case "unix" when kind == "channel": // libvirt makes the guest agent's socket itself.
                case "pty":
                    console.Elements("source").Remove();
                    break;
                case "spicevmc" or "spiceport" or "null" or "vc" or "qemu-vdagent" or "dbus":
                    break;
                default: // tcp, udp, unix, dev, pipe, …: the other end is at the source.
                    console.Elements().Where(element => element.Name.LocalName is "source" or "protocol").Remove();
                    console.SetAttributeValue("type", "pty");
                    break;
            }
        }
    }

    private static void AdaptGraphics(XElement graphics)
    {
        if ((string?)graphics.Attribute("type") == "dbus")
        {
            graphics.Attribute("address")?.Remove(); // of a bus that runs at the source; libvirt starts one here
        }

        if ((string?)graphics.Attribute("type") is not ("vnc" or "spice"))
        {
            return;
        }

        foreach (string dropped in (string[])["tlsPort", "websocket", "socket", "passwdValidTo", "connected", "keymap-file"])
        {
            graphics.SetAttributeValue(dropped, null);
        }

        graphics.SetAttributeValue("port", "-1");
        graphics.SetAttributeValue("autoport", "yes");

        // The source's own address does not exist here; the ones every host has do.
        string address = (string?)graphics.Attribute("listen") ?? (string?)graphics.Element("listen")?.Attribute("address") ?? "127.0.0.1";
        graphics.Attribute("listen")?.Remove();
        graphics.Elements("listen").Remove();
        graphics.Add(new XElement(
            "listen",
            new XAttribute("type", "address"),
            new XAttribute("address", address is "0.0.0.0" or "::" or "::1" ? address : "127.0.0.1")));
    }
}
