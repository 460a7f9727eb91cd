using Understudy.Blocks;

namespace Understudy.Protection.Target;

/// <summary>Why a recovery was not begun. The code is what a program switches on; the words are for people.</summary>
public enum RefusalCode
{
    NetworkUnmapped,
    NameTaken,
    NameUnlawful,
    NoSuchPoint,
    NoSuchReplica,
    NoSuchRun,
    NoSpace,
    AlreadyFailedOver,
    NotFailedOver,
    NotCommitted,
    Busy,
    Exists,
    Definition,
}

/// <summary>An expected "no": nothing was changed, the message says what is in the way and the remedy what to do.</summary>
public sealed class RefusedException(RefusalCode code, string message, string remedy)
    : UnderstudyException(FaultClass.NeedsOperator, message, remedy)
{
    public RefusalCode Code { get; } = code;
}
