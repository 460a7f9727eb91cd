using Understudy.Agent;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Testing;

namespace Understudy.Tests.Agent;

public sealed class SeenPowerTests
{
    private static readonly VmId Vm = new(Guid.NewGuid());

    private readonly ManualTime _time = new();
    private readonly SeenPower _power;

    public SeenPowerTests() => _power = new SeenPower(_time);

    [Fact]
    public async Task A_look_that_began_before_the_VM_was_started_says_nothing_of_it_afterwards()
    {
        long before = _power.BeginLook();
        _power.Note(Vm, VmPower.Off, before);
        await _power.ChangeAsync(Vm, () =>
        {
            Assert.Null(_power.Of(Vm));
            _power.Note(Vm, VmPower.Paused, _power.BeginLook()); // as QEMU looks before it runs
            _time.Advance(TimeSpan.FromSeconds(1));
            return Task.FromResult(0);
        });
        _power.Note(Vm, VmPower.Paused, before);
        Assert.Null(_power.Of(Vm));

        _time.Advance(TimeSpan.FromMilliseconds(1));
        _power.Note(Vm, VmPower.Running, _power.BeginLook());
        Assert.Equal(VmPower.Running, _power.Of(Vm));
    }

    [Fact]
    public async Task An_order_that_failed_leaves_the_VM_to_be_looked_at_again()
    {
        await Assert.ThrowsAsync<InvalidOperationException>(() => _power.ChangeAsync<int>(Vm, () => throw new InvalidOperationException()));
        _time.Advance(TimeSpan.FromMilliseconds(1));
        _power.Note(Vm, VmPower.Off, _power.BeginLook());
        Assert.Equal(VmPower.Off, _power.Of(Vm));
    }
}
