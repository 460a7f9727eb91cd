namespace Understudy.Replication.Wire;

/// <summary>
/// Every number of the replication protocol that guards something, in one place (docs/protocols/replication.md). What a
/// peer claims is compared with these before a byte is allocated for it.
/// </summary>
public static class ProtocolLimits
{
    /// <summary>The only version of the protocol so far; the first word after the product's name in the banner.</summary>
    public const int Version = 1;

    /// <summary>The banner line with its line feed. Long enough for any software version, short enough to be nothing.</summary>
    public const int BannerBytes = 128;

    /// <summary>Body of a control frame. The largest is a refusal: two texts of <see cref="TextBytes"/> and 88 fixed bytes.</summary>
    public const int ControlBodyBytes = 2048;

    /// <summary>Any text on the wire, in UTF-8 bytes: two lines on a screen.</summary>
    public const int TextBytes = 768;

    /// <summary>Payload of a record, the journal's own limit: bounds what one frame can make the other side hold.</summary>
    public const int RecordPayloadBytes = 1024 * 1024;

    /// <summary>Unacknowledged bytes a sender may have out. 64 MiB fills 1 Gbit/s at 500 ms round trip, flush included.</summary>
    public const int WindowBytes = 64 * 1024 * 1024;

    /// <summary>The receiver flushes at the latest after this many appended bytes, so that the window can never be stuck
    /// between two flushes: an eighth of it.</summary>
    public const int FlushEveryBytes = WindowBytes / 8;

    /// <summary>What one question may ask the sums of: about as long as a flush takes, so that records behind it do not wait
    /// long, and 1024 sums of 16 bytes.</summary>
    public const int ComparedBytes = 64 * 1024 * 1024;

    /// <summary>Questions a source has out: the target reads for the next while the answer to the first travels.</summary>
    public const int QuestionsOut = 4;

    /// <summary>Sums in one answer; a control frame's body holds a few more.</summary>
    public const int SumsInFrame = 64;

    /// <summary>Banner, HELLO and WELCOME together must be done in this time, so that a silent peer holds a slot briefly.</summary>
    public static readonly TimeSpan HandshakeTime = TimeSpan.FromSeconds(15);

    /// <summary>A source that is called and has no use for a connection now says so after this time. Longer than the five seconds
    /// between two of its questions while another owns the VM, so that such a call waits for the next one.</summary>
    public static readonly TimeSpan CallWaits = TimeSpan.FromSeconds(6);

    /// <summary>A call must be answered in this time: <see cref="CallWaits"/> and a slow round trip.</summary>
    public static readonly TimeSpan CallTime = TimeSpan.FromSeconds(8);

    /// <summary>A side with nothing else to say sends a PING or PONG this often.</summary>
    public static readonly TimeSpan HeartbeatEvery = TimeSpan.FromSeconds(5);

    /// <summary>Three heartbeats missed: the peer is taken for gone. Also bounds how late a source hears of a newer line that
    /// began while the link was cut: TCP repeats what was lost at growing pauses, and after this a new connection is
    /// quicker (PRE-5 wants ten seconds).</summary>
    public static readonly TimeSpan SilenceLimit = TimeSpan.FromSeconds(15);

    /// <summary>A refusal may take this long to leave and be heard; a peer that does not read it costs no more.</summary>
    public static readonly TimeSpan RefusalTime = TimeSpan.FromSeconds(5);

    /// <summary>Records that wait for a flush although their sender has stopped sending (it died in the middle of a
    /// batch): after this pause they are flushed and acknowledged all the same.</summary>
    public static readonly TimeSpan FlushAfterPause = TimeSpan.FromSeconds(1);
}
