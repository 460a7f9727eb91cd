using System.Reflection;
using System.Runtime.ExceptionServices;

namespace Understudy.Protection.Tests.Target.World;

/// <summary>The life of one agent: it ends before the call to the outside whose number is given, and from then on every
/// call fails, as in a process that is gone. Dying after a call is dying before the next one.</summary>
internal sealed class Life(int callsToLive)
{
    private int _calls;

    public bool IsOver { get; private set; }

    /// <summary>What it was about to do.</summary>
    public string LastCall { get; private set; } = "nothing";

    public static Life Forever() => new(int.MaxValue);

    public void Call(string what)
    {
        if (IsOver || Interlocked.Increment(ref _calls) > callsToLive)
        {
            LastCall = IsOver ? LastCall : what;
            IsOver = true;
            throw new AgentDiedException();
        }
    }

    public void End() => IsOver = true;
}

internal sealed class AgentDiedException : Exception;

/// <summary>A port that counts its calls towards the end of its agent's life.</summary>
#pragma warning disable CA1852 // DispatchProxy derives from it at run time.
internal class Mortal<T> : DispatchProxy
#pragma warning restore CA1852
    where T : class
{
    private T _inner = null!; // Set by Of.
    private Life _life = null!; // Set by Of.

    public static T Of(T inner, Life life)
    {
        T proxy = Create<T, Mortal<T>>();
        Mortal<T> mortal = (Mortal<T>)(object)proxy;
        mortal._inner = inner;
        mortal._life = life;
        return proxy;
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        _life.Call($"{typeof(T).Name}.{targetMethod!.Name}"); // Not null: a proxy is only called through its interface.
        try
        {
            return targetMethod.Invoke(_inner, args);
        }
        catch (TargetInvocationException failed)
        {
            ExceptionDispatchInfo.Throw(failed.InnerException!);
            throw;
        }
    }
}
