using System.Reflection;
using Understudy.Protection.Ports;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>The agent dies at a chosen call to the hypervisor: before it reaches it, or after it was carried out and
/// before the answer is heard. From then on nothing works, as in a process that is gone.</summary>
public class DyingHypervisor : DispatchProxy
{
    private IHypervisor _inner = null!; // Set by Around.
    private string _method = "";
    private bool _before;
    private bool _dead;

    public static IHypervisor Around(IHypervisor inner, string method, bool before)
    {
        IHypervisor proxy = Create<IHypervisor, DyingHypervisor>();
        DyingHypervisor dying = (DyingHypervisor)(object)proxy;
        dying._inner = inner;
        dying._method = method;
        dying._before = before;
        return proxy;
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        if (_dead || (targetMethod!.Name == _method && _before))
        {
            _dead = true;
            throw new AgentDiedException();
        }

        object? result = targetMethod.Invoke(_inner, args);
        if (targetMethod.Name != _method)
        {
            return result;
        }

        return result switch
        {
#pragma warning disable CA2012 // Each is unboxed once and awaited once.
            ValueTask running => ThenDie(running),
            ValueTask<Blocks.Identity.VmId> running => ThenDie(running),
#pragma warning restore CA2012
            _ => throw new InvalidOperationException($"{_method} cannot be died after"),
        };
    }

    private async ValueTask ThenDie(ValueTask running)
    {
        await running;
        _dead = true;
        throw new AgentDiedException();
    }

    private async ValueTask<T> ThenDie<T>(ValueTask<T> running)
    {
        await running;
        _dead = true;
        throw new AgentDiedException();
    }
}

public sealed class AgentDiedException : Exception;
