using System.Runtime.InteropServices;

namespace Understudy.Libvirt.Native;

/// <summary>virError; owned by the thread it happened on and overwritten by that thread's next failed call.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct VirError
{
    public int Code;
    public int Domain;
    public byte* Message;
    public int Level;
    public nint Connect;
    public nint DomainPointer;
    public byte* Text1;
    public byte* Text2;
    public byte* Text3;
    public int Number1;
    public int Number2;
    public nint Network;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct VirNodeInfo
{
    public fixed byte Model[32];
    public nuint MemoryKibibytes;
    public uint Cpus;
    public uint Megahertz;
    public uint Nodes;
    public uint Sockets;
    public uint Cores;
    public uint Threads;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct VirNodeMemoryStat
{
    public fixed byte Field[80];
    public ulong Kibibytes;
}

[StructLayout(LayoutKind.Sequential)]
internal struct VirDomainBlockInfo
{
    public ulong CapacityBytes;
    public ulong AllocationBytes;
    public ulong PhysicalBytes;
}

[StructLayout(LayoutKind.Sequential)]
internal struct VirStorageVolInfo
{
    public int Type;
    public ulong CapacityBytes;
    public ulong AllocationBytes;
}

[StructLayout(LayoutKind.Sequential)]
internal struct VirDomainBlockJobInfo
{
    public int Type;
    public nuint Bandwidth;
    public ulong Current;
    public ulong End;
}

/// <summary>virTypedParameter: a name of 80 bytes, a type, and a union of eight bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 96)]
internal unsafe struct VirTypedParameter
{
    [FieldOffset(0)]
    public fixed byte Field[80];

    [FieldOffset(80)]
    public int Type;

    [FieldOffset(88)]
    public int Int32;

    [FieldOffset(88)]
    public uint UInt32;

    [FieldOffset(88)]
    public long Int64;

    [FieldOffset(88)]
    public ulong UInt64;
}
