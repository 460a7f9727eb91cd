using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Machines;

/// <summary>One agent process's connection to the hypervisor of its host. Every call takes time on the way in and on the
/// way out, and may fail on either; what it does it does in between, at one instant.</summary>
internal sealed partial class MachineHypervisor(ModelMachine machine, SimProcess agent, SimRandom random) : IHypervisor
{
    private readonly ModelMachine _machine = machine;
    private readonly SimProcess _agent = agent;
    private readonly SimRandom _random = random;

    public async ValueTask<HostFacts> GetHostAsync(CancellationToken cancellationToken)
    {
        await BeginAsync("facts of the host", cancellationToken);
        return new HostFacts(_machine.Host.Name, "model 1", "model 1", true, 1L << 34, 1L << 33, 8, ["pc-q35-9.2"], Networks());
    }

    public async ValueTask<IReadOnlyList<VmFacts>> ListVmsAsync(CancellationToken cancellationToken)
    {
        await BeginAsync("listing VMs", cancellationToken);
        return [.. _machine.Domains.Select(Facts)];
    }

    public async ValueTask<VmFacts?> FindVmAsync(VmId vm, CancellationToken cancellationToken)
    {
        await BeginAsync("finding a VM", cancellationToken);
        return _machine.Find(vm) is { } found ? Facts(found) : null;
    }

    public async ValueTask<string> GetDefinitionAsync(VmId vm, DefinitionKind kind, CancellationToken cancellationToken)
    {
        await BeginAsync("reading a definition", cancellationToken);
        return kind == DefinitionKind.Live && Running(vm) is { } qemu ? qemu.LiveXml : Find(vm).Inactive;
    }

    public async ValueTask<VmRunState> GetRunStateAsync(VmId vm, CancellationToken cancellationToken)
    {
        await BeginAsync("reading a run state", cancellationToken);
        return _machine.Find(vm)?.State ?? VmRunState.Absent;
    }

    public async ValueTask<VmId> DefineAsync(string domainXml, CancellationToken cancellationToken)
    {
        await BeginAsync("defining a VM", cancellationToken);
        (VmId id, string name) = DomainXml.Identity(domainXml);
        if (_machine.Domains.Any(d => d.Name == name && d.Id != id))
        {
            throw Refused($"domain '{name}' already exists with another uuid");
        }

        if (_machine.Find(id) is { } known)
        {
            known.Inactive = domainXml;
        }
        else
        {
            _machine.Domains.Add(new ModelDomain(_machine, id, name, domainXml, null, _random.Fork(1)));
        }

        _machine.Trace("defined", name);
        await EndAsync("defining a VM", cancellationToken);
        return id;
    }

    /// <summary>A running one goes on as a transient VM and is gone when it stops; the model takes it for gone at once.</summary>
    public async ValueTask UndefineAsync(VmId vm, CancellationToken cancellationToken)
    {
        await BeginAsync("undefining a VM", cancellationToken);
        if (_machine.Find(vm) is { } found)
        {
            if (found.Qemu is not null)
            {
                throw Refused($"{found.Name} runs");
            }

            _machine.Domains.Remove(found);
            _machine.Trace("undefined", found.Name);
        }

        await EndAsync("undefining a VM", cancellationToken);
    }

    public async ValueTask StartAsync(VmId vm, CancellationToken cancellationToken)
    {
        await BeginAsync("starting a VM", cancellationToken);
        if (await Find(vm).StartAsync() is { } failed)
        {
            throw new HypervisorException(failed.Fault, failed.Message);
        }

        await EndAsync("starting a VM", cancellationToken);
    }

    public ValueTask ResumeAsync(VmId vm, CancellationToken cancellationToken) => ChangeAsync("resuming a VM", vm, qemu => qemu.Resume(), cancellationToken);

    public ValueTask SuspendAsync(VmId vm, CancellationToken cancellationToken) => _machine.Context.Plant == Plant.ForgetToPause
        ? default
        : ChangeAsync("pausing a VM", vm, qemu => qemu.Suspend(), cancellationToken);

    public ValueTask RequestShutdownAsync(VmId vm, CancellationToken cancellationToken) =>
        ChangeAsync("asking a VM to power off", vm, qemu => Find(vm).HearShutdown(qemu), cancellationToken);

    public ValueTask SetLinksAsync(VmId vm, bool up, CancellationToken cancellationToken) =>
        ChangeAsync("plugging cables", vm, qemu => qemu.SetLinks(up), cancellationToken);

    public async ValueTask DestroyAsync(VmId vm, CancellationToken cancellationToken)
    {
        await BeginAsync("ending a VM", cancellationToken);
        if (_machine.Find(vm)?.Qemu is { Process: { } process } qemu)
        {
            qemu.Destroy();
            await process.Ended;
        }

        await EndAsync("ending a VM", cancellationToken);
    }

    public async ValueTask<string> MonitorCommandAsync(VmId vm, string qmpJson, CancellationToken cancellationToken)
    {
        await BeginAsync("a command to the monitor", cancellationToken);
        string answer = "";
        await InQemuAsync(async () => answer = await Running(vm).ExecuteAsync(qmpJson));
        return answer;
    }

    public async ValueTask AttachDiskAsync(VmId vm, string diskXml, CancellationToken cancellationToken)
    {
        await BeginAsync("plugging in a disk", cancellationToken);
        await InQemuAsync(() => Running(vm).PlugAsync(diskXml));
        await EndAsync("plugging in a disk", cancellationToken);
    }

    public async ValueTask RequestDetachAsync(VmId vm, string alias, CancellationToken cancellationToken)
    {
        await BeginAsync("asking for a disk back", cancellationToken);
        await InQemuAsync(() => Running(vm).RequestUnplugAsync(alias));
        await EndAsync("asking for a disk back", cancellationToken);
    }

    /// <summary>It may end in the middle of it.</summary>
    private static async ValueTask InQemuAsync(Func<Task> act)
    {
        try
        {
            await act();
        }
        catch (IOException gone)
        {
            throw new HypervisorException(HypervisorFault.NotRunning, gone.Message);
        }
    }

    private async ValueTask ChangeAsync(string what, VmId vm, Action<ModelQemu> change, CancellationToken cancellationToken)
    {
        await BeginAsync(what, cancellationToken);
        change(Running(vm));
        await EndAsync(what, cancellationToken);
    }

    private VmFacts Facts(ModelDomain domain) => new(
        domain.Id,
        domain.Name,
        domain.State,
        1,
        1L << 30,
        "bios",
        "pc-q35-9.2",
        Persistent: true,
        HasGuestAgentChannel: false,
        HasSnapshots: false,
        domain.Tracked is { } vm
            ? [.. vm.Disks.Select((d, i) => new VmDiskFacts(vm.Targets[i], "virtio", "disk", "qcow2", "file", DomainXml.SourceImage(vm.Name, i), d.SizeBytes, false, false)).Where((_, i) => vm.IsPlugged(i))]
            : [.. DomainXml.Disks(domain.Inactive).Select(d => new VmDiskFacts(
                d.Target, "virtio", "disk", "qcow2", "file", d.Path, _machine.Images.GetValueOrDefault(d.Path)?.SizeBytes ?? 0, false, false))],
        [new VmNicFacts(DomainXml.Mac, "office", "virtio")],
        Autostart: domain.Autostart);

    private ValueTask BeginAsync(string what, CancellationToken cancellationToken) => _machine.Calls.BeginAsync(what, _agent, cancellationToken);

    private ValueTask EndAsync(string what, CancellationToken cancellationToken) => _machine.Calls.EndAsync(what, _agent, cancellationToken);

    private ModelDomain Find(VmId vm) => _machine.Find(vm) ?? throw new HypervisorException(HypervisorFault.NoSuchVm, $"no VM {vm} (simulated)");

    private ModelQemu Running(VmId vm) =>
        Find(vm).Qemu ?? throw new HypervisorException(HypervisorFault.NotRunning, $"VM {vm} is off (simulated)");

    private static HypervisorException Refused(string words) => new(HypervisorFault.Refused, $"{words} (simulated)");
}
