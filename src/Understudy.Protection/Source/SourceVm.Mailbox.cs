using Understudy.Blocks;

namespace Understudy.Protection.Source;

/// <summary>
/// How orders reach the loop that owns the state: they wait in a row and are carried out between two steps. An order that
/// cannot wait for the step to end interrupts it; a step can be cancelled anywhere, as it can be killed anywhere.
/// </summary>
public sealed partial class SourceVm
{
    /// <summary>Each is a person's or the vault's, and takes no longer than a step.</summary>
    private const int MostOrders = 64;

    /// <summary>Guards the row, and which source of interruption is the present one.</summary>
    private readonly Lock _mailbox = new();
    private readonly LinkedList<WaitingOrder> _orders = new();
    private CancellationTokenSource _interruption = new(); // Never disposed: whoever interrupts may come late.
    private bool _ended;

    /// <summary>Ends the step under way; what it had begun is found again by the next.</summary>
    private void Interrupt()
    {
        CancellationTokenSource present;
        lock (_mailbox)
        {
            present = _interruption;
            _interruption = new CancellationTokenSource();
        }

        present.Cancel();
    }

    private async ValueTask<T> OrderAsync<T>(Func<CancellationToken, ValueTask<T>> work, bool interrupts, CancellationToken cancellationToken)
    {
        WaitingOrder<T> order = new(work);
        lock (_mailbox)
        {
            if (_ended || _orders.Count >= MostOrders)
            {
                throw StandsStill();
            }

            _orders.AddLast(order);
        }

        if (interrupts)
        {
            Interrupt();
        }

        _nudged.Beat();
        using CancellationTokenRegistration registration = cancellationToken.Register(() =>
        {
            lock (_mailbox)
            {
                if (!_orders.Remove(order))
                {
                    return; // It is being carried out: that ends by itself.
                }
            }

            order.Done.TrySetCanceled(cancellationToken);
        });
        return await order.Done.Task;
    }

    private async ValueTask RunOrdersAsync(CancellationToken cancellationToken)
    {
        while (TakeOrder() is { } order)
        {
            await order.RunAsync(cancellationToken);
        }
    }

    private WaitingOrder? TakeOrder()
    {
        lock (_mailbox)
        {
            WaitingOrder? first = _orders.First?.Value;
            if (first is not null)
            {
                _orders.RemoveFirst();
            }

            return first;
        }
    }

    private bool HasOrders
    {
        get
        {
            lock (_mailbox)
            {
                return _orders.Count > 0;
            }
        }
    }

    /// <summary>The loop begins, or has ended: then nobody carries an order out any more.</summary>
    private void OpenMailbox(bool open)
    {
        WaitingOrder[] left;
        lock (_mailbox)
        {
            _ended = !open;
            left = open ? [] : [.. _orders];
            if (!open)
            {
                _orders.Clear();
            }
        }

        foreach (WaitingOrder order in left)
        {
            order.Fail(StandsStill());
        }
    }

    private RefusedException StandsStill() => new(
        RefusalCode.Busy, $"Replication of {Spec.VmName} does not take orders now.", "Give the order again when the agent has been started, and see its log.");

    private abstract class WaitingOrder
    {
        public abstract ValueTask RunAsync(CancellationToken cancellationToken);

        public abstract void Fail(Exception reason);
    }

    private sealed class WaitingOrder<T>(Func<CancellationToken, ValueTask<T>> work) : WaitingOrder
    {
        public TaskCompletionSource<T> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override async ValueTask RunAsync(CancellationToken cancellationToken)
        {
            try
            {
                Done.TrySetResult(await work(cancellationToken));
            }
            catch (UnderstudyException refused)
            {
                Done.TrySetException(refused);
            }
            catch (Exception fatal)
            {
                Done.TrySetException(fatal);
                throw; // The loop is ending, or its state is not to be trusted.
            }
        }

        public override void Fail(Exception reason) => Done.TrySetException(reason);
    }
}
