namespace Understudy.Journal.Records;

/// <summary>What a record says. Zero is no kind, so that a hole in a file never looks like a record.</summary>
public enum RecordKind : byte
{
    /// <summary>The payload is the new content of a range of a disk.</summary>
    Data = 1,

    /// <summary>A range of a disk reads as zeros from here on; no payload, any length.</summary>
    Zero = 2,

    /// <summary>All disks of the VM stand as they were at one instant: a recovery point, unless its body hides it.</summary>
    Checkpoint = 3,

    /// <summary>The disks of the VM, in force for all later checkpoints.</summary>
    Geometry = 4,

    /// <summary>The domain XML, in force for all later checkpoints.</summary>
    Definition = 5,
}

/// <summary>How the payload is stored.</summary>
public enum RecordEncoding : byte
{
    Raw = 0,
    Zstd = 1,
}

/// <summary>What is wrong with bytes that should be a record.</summary>
public enum RecordDefect
{
    None = 0,
    TooShort,
    BadMagic,
    BadHeaderChecksum,
    UnknownVersion,
    UnknownKind,
    UnknownEncoding,
    UnknownFlags,
    BadField,
    BadPayloadChecksum,
}
