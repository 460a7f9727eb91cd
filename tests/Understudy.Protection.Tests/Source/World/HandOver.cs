using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;

namespace Understudy.Protection.Tests.Source.World;

/// <summary>
/// What the vault does in a planned failover and its cancel, order by order; an order whose agent died is given again. The
/// target's part is played by the replica: it takes the VM as line 2 and gives it back as line 3.
/// </summary>
internal sealed class HandOver(SourceWorld world)
{
    private static readonly TransferId _out = new(new Guid(5, 5, 5, new byte[8]));
    private static readonly TransferId _home = new(new Guid(6, 6, 6, new byte[8]));
    private static readonly LineId _second = new(2, 8);
    private static readonly LineId _third = new(3, 8);

    private readonly Queue<Func<SourceHost, Task>> _orders = new();
    private SourceHost? _ordered;
    private Task? _order;
    private RecoveryPointId _planned;
    private int _pointsBefore;
    private bool _begun;

    /// <summary>The VM stays where it was taken to.</summary>
    public bool StopsAtTarget { get; init; }

    /// <summary>The target has been offered the VM, and has not answered.</summary>
    public bool StopsAtOffer { get; init; }

    /// <summary>Happens once the guest is off.</summary>
    public Action AfterStop { get; init; } = () => { };

    /// <summary>True when the VM is home again and has two new points.</summary>
    public bool Step()
    {
        if (!_begun)
        {
            _begun = world.Replica.Points.Count >= 2;
            if (_begun)
            {
                Begin();
            }

            return false;
        }

        if (_orders.Count > 0)
        {
            Give();
            return false;
        }

        return StopsAtTarget || world.Replica.Points.Count >= _pointsBefore + 2 && world.Vm.State == VmRunState.Running;
    }

    public void AssertDone(bool resynchronised = false)
    {
        Assert.Equal(_third, world.Host!.Ownership.Record.Line);
        Assert.IsType<OwnershipState.Here>(world.Host.Ownership.Record.State);
        Assert.True(world.Guard.MayStart(world.Vm.Id));
        Assert.Equal(resynchronised, world.Events.Exists(happened => happened.Kind == SourceEventKind.ResynchronisationStarted));
        Assert.DoesNotContain(world.Events, happened => happened.Kind is SourceEventKind.Deposed or SourceEventKind.StartedAnyway);
        Assert.True(world.Vm.CheckpointNames.Count <= 2, "more than two checkpoints");
    }

    private void Begin()
    {
        _orders.Enqueue(host => host.FenceAsync("planned failover", default).AsTask());
        _orders.Enqueue(async host =>
        {
            await host.StopGuestAsync(powerOff: false, TimeSpan.FromMinutes(5), default);
            AfterStop();
        });
        _orders.Enqueue(host => host.Engine.LastChangeAsync(null, default).AsTask());
        _orders.Enqueue(async host => _planned = await host.Engine.OfferAsync(_out, SourceWorld.Peer, default));
        if (StopsAtOffer)
        {
            return;
        }

        _orders.Enqueue(host =>
        {
            Assert.Equal(_planned, world.Replica.LastPoint);
            Assert.Equal(VmRunState.Off, world.Vm.State);
            Assert.False(world.Guard.MayStart(world.Vm.Id));
            world.Replica.MoveTo(_second, world.Time.GetUtcNow());
            return host.HandedOverAsync(_out, _second, default).AsTask();
        });
        if (StopsAtTarget)
        {
            return;
        }

        _orders.Enqueue(host =>
        {
            _pointsBefore = world.Replica.Points.Count;
            world.Replica.MoveTo(_third, world.Time.GetUtcNow(), new Understudy.Replication.Wire.LineOffer(_home, _planned));
            return host.AcceptAsync(_home, _third, _planned, start: true, default).AsTask();
        });
    }

    private void Give()
    {
        if (world.Host is not { } host)
        {
            return;
        }

        if (_order is null || _ordered != host)
        {
            _ordered = host;
            _order = _orders.Peek()(host);
        }

        if (_order.IsCompletedSuccessfully)
        {
            _orders.Dequeue();
            _order = null;
        }
        else if (_order.IsCompleted && world.AgentIsAlive)
        {
            _order.GetAwaiter().GetResult(); // Refused, or failed: the walk is wrong, or the source.
        }
    }
}
