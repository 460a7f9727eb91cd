using Understudy.Agent;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Source;
using Understudy.Protection.Source.Guest;
using Understudy.Simulation.Machines;
using Understudy.Simulation.Models;

namespace Understudy.Simulation.Sites.Checkers;

/// <summary>
/// The token, from outside: what the two sides' files say, as they are on the disks, against what runs. Never two that would
/// both run by their own record; never a start that the record does not allow; never two copies at once but after a human's
/// word about a source that could not be reached, and then not for longer than ten seconds after it can be.
/// </summary>
internal sealed class OwnershipChecker(SitesWorld world)
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>Ten seconds from the contact (PRE-5), and the time that calls of the hypervisor take.</summary>
    private static readonly TimeSpan PausedWithin = TimeSpan.FromSeconds(12);

    /// <summary>By policy a deposed guest may be asked to shut down first.</summary>
    private static readonly TimeSpan ShutDownWithin = TimeSpan.FromSeconds(135);

    private readonly SitesWorld _world = world;
    private readonly Dictionary<VmId, History> _histories = [];

    /// <summary>Looks again and again, for what changes by the passing of time alone.</summary>
    public async Task RunAsync()
    {
        while (true)
        {
            await _world.Simulator.DelayAsync(LookEvery);
            foreach (VmWatch vm in _world.Vms)
            {
                LookAtRecords(vm.Id);
                LookAtCopies(vm);
            }
        }
    }

    /// <summary>A side's record has changed, or is about to.</summary>
    public void LookAtRecords(VmId id)
    {
        VmWatch vm = _world.Watch(id);
        History history = Of(vm);
        TokenFile source = _world.Source.TokenOf(id);
        TokenFile target = _world.Target.TokenOf(id);
        _world.Context.Coverage.Owners(WordOf(source.Now, _world.Source), WordOf(target.Now, _world.Target));
        if (target.Now is { } now)
        {
            NoteTarget(vm, history, now, target.Durable);
        }

        if (source.Now is { } here)
        {
            NoteSource(vm, history, here);
        }

        // A crash may leave the older or the newer of each.
        foreach (OwnershipRecord one in MayRun(source, _world.Source))
        {
            foreach (OwnershipRecord other in MayRun(target, _world.Target).Where(r => r.Replica == one.Replica))
            {
                // A claim at the source may come while the VM is in transit: the target then accepts, and either line may be the newer.
                bool isByWord = history.ByWord.Contains(one.Line) || (other.Line.IsNewerThan(one.Line) && history.ByWord.Contains(other.Line));
                if (one.Line == other.Line || !isByWord)
                {
                    vm.Violate("token", $"both sides may run it: the source on line {one.Line}, the target on line {other.Line}");
                }
            }
        }
    }

    /// <summary>The start hook has let a VM through.</summary>
    public void LookAtStart(Site site, ModelDomain domain)
    {
        if (!_world.Vms.Exists(vm => vm.Id == domain.Id) || site.TokenOf(domain.Id).Durable is not { } record || HasEnded(site, domain.Id))
        {
            return;
        }

        // Before its first point nobody can have failed it over: a power loss between its first record and its first guard file opens nothing.
        bool isOpen = record.State is OwnershipState.Here { Fence: null };
        bool isKnown = record.MayRun(site.Machine.Boot) || _world.StartsAfter is not null || _world.Watch(domain.Id).Ledger(record.Replica).Known.Count == 0;
        if (!isOpen || !isKnown)
        {
            _world.Watch(domain.Id).Violate("guard", $"{site.Name}: it was let start, and by the record on the disk it is {record.State} on line {record.Line}");
        }
    }

    /// <summary>At a source the end of a protection is durable with the engine's record, and what its token said, a fence as well, ends
    /// with it: the guard opens first and the token's file goes last, whoever dies in between.</summary>
    private bool HasEnded(Site site, VmId id) => site == _world.Source
        && ((string[])[SourceStateStore.Name, GuestFile.Name]).All(file => site.Host.Disk.DurableNodeOf($"{SourceSide.FolderOf(id)}/{file}") is null);

    /// <summary>The fence of a source whose VM stays at the other side is to be taken away, because it was claimed there: so says its
    /// report, and so it must be by its record, with a human's word.</summary>
    public void LookAtUnguarding(VmId id, LineId stays)
    {
        VmWatch vm = _world.Watch(id);
        if (_world.Source.TokenOf(id).Now is { } record
            && !(record.State is OwnershipState.Here && record.Line.IsNewerThan(stays) && Of(vm).ByWord.Contains(record.Line)))
        {
            vm.Violate("guard", $"it stays at the target by line {stays}, and its source is to be let go, which is {record.State} on line {record.Line} by no human's word");
        }
    }

    /// <summary>A VM has begun or ceased to run.</summary>
    public void LookAtCopies(VmId id)
    {
        if (_world.Vms.Find(vm => vm.Id == id) is { } vm)
        {
            LookAtCopies(vm);
        }
    }

    private void LookAtCopies(VmWatch vm)
    {
        History history = Of(vm);
        long now = _world.Simulator.NowTicks;
        history.ContactSince = HasContact(vm, history) ? history.ContactSince ?? now : null;
        if (!Runs(_world.Source, vm) || !Runs(_world.Target, vm))
        {
            history.BothSince = null;
            return;
        }

        history.BothSince ??= now;
        OwnershipRecord? source = _world.Source.TokenOf(vm.Id).Now;
        OwnershipRecord? target = _world.Target.TokenOf(vm.Id).Now ?? history.Target; // Its record goes when its protection ends; its line stays.
        if (!history.IsByWord(target, source) && !history.IsByWord(source, null))
        {
            vm.Violate("two copies", $"it runs at both sides; the source's record is {source?.State} on {source?.Line}, the target's {target?.State} on {target?.Line}");
            return;
        }

        TimeSpan limit = _world.Isolated == Model.IsolatedSourceAction.ShutDown ? ShutDownWithin : PausedWithin;
        if (history.ContactSince is { } contact && now - Math.Max(contact, history.BothSince.Value) > limit.Ticks)
        {
            vm.Violate("two copies", $"it runs at both sides {limit.TotalSeconds} s after the source could be reached; the source's record is {source?.State} on {source?.Line}, the target's is {target?.State} on {target?.Line}");
        }
    }

    /// <summary>Everything between the two sides works, and has nothing to make up for.</summary>
    private bool HasContact(VmWatch vm, History history)
    {
        Site source = _world.Source;
        Site target = _world.Target;
        bool works = source.Agent is { } agent && target.Agent is { } other
            && agent.Source.Sources.Any(s => s.Spec.Vm == vm.Id) && other.Target.Hosts.Any(h => h.Spec.Vm == vm.Id)
            && _world.IsOpen(source.Host, target.Host)
            && _world.Sites.All(site => site.Machine.Calls.CallFault == 0 && site.Host.Disk.Faults.IsClear && site.Host.Disk.StalledUntilTicks <= _world.Simulator.NowTicks);
        bool same = history.Cuts == _world.Network.Cuts && history.Disturbances == (source.QuietSinceTicks, target.QuietSinceTicks);
        (history.Cuts, history.Disturbances) = (_world.Network.Cuts, (source.QuietSinceTicks, target.QuietSinceTicks));
        return works && same;
    }

    private static IEnumerable<OwnershipRecord> MayRun(TokenFile token, Site site) =>
        new[] { token.Now, token.Durable }.OfType<OwnershipRecord>().Distinct().Where(r => r.MayRun(site.Machine.Boot));

    private static string WordOf(OwnershipRecord? record, Site site) => record?.State switch
    {
        null => "has none",
        OwnershipState.Here { Fence: not null } => "fenced",
        OwnershipState.Here here => here.Boot == site.Machine.Boot ? "here" : "unsure",
        OwnershipState.Offered => "offered",
        OwnershipState.Elsewhere { Deposed: not null } => "deposed",
        OwnershipState.Elsewhere => "elsewhere",
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static bool Runs(Site site, VmWatch vm) => site.Machine.Find(vm.Id) is { IsActive: true, Qemu.IsLinked: true };

    private static void NoteTarget(VmWatch vm, History history, OwnershipRecord now, OwnershipRecord? durable)
    {
        OwnershipRecord? before = history.Target is { } known && known.Replica == now.Replica ? known : null;
        history.Target = now;
        if (now.State is not OwnershipState.Here || now.Line == before?.Line)
        {
            return;
        }

        if (history.Held == now.Line && durable is { State: OwnershipState.Here } && durable.Line == now.Line)
        {
            return; // It had not let go of it: what was to say so (an offer, a newer line that was heard) never became durable, and nobody was told.
        }

        history.Held = now.Line;
        if (before is { State: OwnershipState.Here })
        {
            // Another point, by its owner: of the source it knows what it knew before, which may be less than there is to know.
            if (history.ByWord.Contains(before.Line) || (history.Source is { State: OwnershipState.Here } claimed && history.ByWord.Contains(claimed.Line)))
            {
                history.ByWord.Add(now.Line);
            }

            return;
        }

        if (now.Accepted == before?.Accepted)
        {
            history.ByWord.Add(now.Line);
            if (vm.Words == 0)
            {
                vm.Violate("token", $"the target took line {now.Line} and nobody has said so");
            }

            return;
        }

        // In good order: what the target begins with is all that the source ever wrote, but after a claim there meanwhile.
        bool wasClaimed = history.Source is { } source && history.ByWord.Contains(source.Line);
        if (wasClaimed)
        {
            history.ByWord.Add(now.Line); // Of the two that may run now one is there by a human's word.
        }
        else if (now.Parent is { } point && vm.Ledger(now.Replica).CutOf(point) is { } there && there.FirstDifference(vm.Vm.Now()) is { } where)
        {
            vm.Violate("lost writes", $"transfer {now.Accepted} was accepted at {point}, which differs from what the source had at {where}");
        }
    }

    private static void NoteSource(VmWatch vm, History history, OwnershipRecord now)
    {
        OwnershipRecord? before = history.Source is { } known && known.Replica == now.Replica ? known : null;
        history.Source = now;
        if (now.State is OwnershipState.Here && before is not null && now.Line.IsNewerThan(before.Line) && now.Accepted == before.Accepted)
        {
            history.ByWord.Add(now.Line);
            if (history.Target is { State: OwnershipState.Here } other)
            {
                history.ByWord.Add(other.Line); // It may be the newer of the two, and the claim then gives way.
            }

            if (vm.Claims == 0)
            {
                vm.Violate("token", $"the source took line {now.Line} and nobody has said so");
            }
        }

        if (now.State is OwnershipState.Offered && before?.State is OwnershipState.Here)
        {
            history.Given = vm.Vm.Now();
        }
        else if (now.State is OwnershipState.Here && history.Given is { } given)
        {
            history.Given = null;
            if (given.FirstDifference(vm.Vm.Now()) is { } where)
            {
                vm.Violate("lost writes", $"the VM came home, and its disks differ from what it left with at {where}");
            }
        }
    }

    private History Of(VmWatch vm)
    {
        if (!_histories.TryGetValue(vm.Id, out History? history))
        {
            _histories[vm.Id] = history = new History();
        }

        return history;
    }

    /// <summary>What was seen of one VM until now.</summary>
    private sealed class History
    {
        public OwnershipRecord? Source { get; set; }

        public OwnershipRecord? Target { get; set; }

        /// <summary>The line by which the target had the VM last.</summary>
        public LineId? Held { get; set; }

        /// <summary>Lines that a side took without the other, by a human's word.</summary>
        public HashSet<LineId> ByWord { get; } = [];

        /// <summary>A side has taken the VM by a human's word; and what the other says, where that is asked for, is older or gives way.</summary>
        public bool IsByWord(OwnershipRecord? taker, OwnershipRecord? other) => taker is { State: OwnershipState.Here } && ByWord.Contains(taker.Line)
            && (other is not { State: OwnershipState.Here } || taker.Line.IsNewerThan(other.Line));

        /// <summary>What the source's disks held when the VM was offered.</summary>
        public Cut? Given { get; set; }

        public long? BothSince { get; set; }

        public long? ContactSince { get; set; }

        public long Cuts { get; set; }

        public (long, long) Disturbances { get; set; }
    }
}
