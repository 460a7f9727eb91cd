using Understudy.Blocks;
using Understudy.Protection.Durable;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Definition;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target.Runs;

/// <summary>Making and removing what a test consists of. Each removal is content with a thing that is not there.</summary>
internal sealed partial class TestRuns
{
    private async ValueTask MakeAsync(TestRecord test, TransformedDomain domain, CancellationToken cancellationToken)
    {
        if (test.Branch is null)
        {
            await context.Pins.AddAsync(test.Id, test.Point, $"test {test.VmName}", cancellationToken);
        }

        Task network = MakeNetworkAsync(test, cancellationToken); // Slow in libvirt (it starts dnsmasq); the disks go on meanwhile.
        try
        {
            await HoldAsync(test, serve: true, cancellationToken);
            await MakeOverlaysAsync(test, cancellationToken);
            await context.Services.Images.CreateFolderAsync(context.Places.LogFolder(test.VmName), cancellationToken);
        }
        finally
        {
            await network;
        }

        await context.Services.Hypervisor.DefineAsync(domain.Xml, cancellationToken);
        await context.RunDisks.StartGuestAsync(WatchedOf(test), cancellationToken);
    }

    private async Task MakeNetworkAsync(TestRecord test, CancellationToken cancellationToken)
    {
        if (BubbleOf(test) is { } bubble)
        {
            await context.Services.Hypervisor.CreateNetworkAsync(bubble.Xml, cancellationToken);
        }
    }

    /// <summary>What cannot be removed now (libvirt is away, a disk fails) is removed by the watch.</summary>
    private async ValueTask TryRemoveAsync(TestRecord test, CancellationToken cancellationToken)
    {
        try
        {
            await RemoveAsync(test, cancellationToken);
        }
        catch (Exception fault) when (fault is not InvariantException && !cancellationToken.IsCancellationRequested)
        {
            Log.TriedAgain(context.Logger, context.Vm, $"removing test {test.VmName}", fault.Message);
        }
    }

    private async ValueTask RemoveAsync(TestRecord test, CancellationToken cancellationToken)
    {
        await SaveAsync(test = test with { Step = TestStep.Removing }, cancellationToken);
        await EndVmAsync(test, cancellationToken);
        await LetGoAsync(test, cancellationToken);
        await context.RunDisks.DeleteOverlaysAsync(test.Disks, cancellationToken);
        await DeleteLogsAsync(test, cancellationToken);
        await context.Pins.RemoveAsync(test.Id, cancellationToken);
        await ForgetAsync(test, cancellationToken);
    }

    private async ValueTask EndVmAsync(TestRecord test, CancellationToken cancellationToken)
    {
        await context.Services.Hypervisor.DestroyAsync(test.TestVm, cancellationToken);
        await context.Services.Hypervisor.UndefineAsync(test.TestVm, cancellationToken);
        if (BubbleOf(test) is { } bubble)
        {
            await context.Services.Hypervisor.DestroyNetworkAsync(bubble.Name, cancellationToken);
        }
    }

    private async ValueTask ForgetAsync(TestRecord test, CancellationToken cancellationToken)
    {
        if (test.Bubble is { } number)
        {
            await context.Services.Bubbles.ReleaseAsync(number, cancellationToken);
        }

        await DurableDocument<TestRecord>.DeleteAsync(context.State, RunFiles.Test(test.Id), cancellationToken);
        _tests.Remove(test.Id);
        Current = [.. _tests.Values];
    }

    private async ValueTask DeleteLogsAsync(TestRecord test, CancellationToken cancellationToken)
    {
        string folder = context.Places.LogFolder(test.VmName);
        foreach (string file in await context.Services.Images.ListAsync(folder, cancellationToken))
        {
            await context.Services.Images.DeleteAsync(file, cancellationToken);
        }

        await context.Services.Images.DeleteFolderIfEmptyAsync(folder, cancellationToken);
    }

    private async ValueTask ReserveAgainAsync(TestRecord test, CancellationToken cancellationToken)
    {
        if (test.Bubble is { } number)
        {
            await context.Services.Bubbles.KeepAsync(number, cancellationToken);
        }
    }

    private async ValueTask SaveAsync(TestRecord test, CancellationToken cancellationToken)
    {
        await RunFiles.TestDocument.SaveAsync(context.State, RunFiles.Test(test.Id), test, cancellationToken);
        Put(test);
    }

    private void Put(TestRecord test)
    {
        _tests[test.Id] = test;
        Current = [.. _tests.Values];
    }

    /// <summary>What is under its overlays is served from now on: views of its point, or the branch it stands on.</summary>
    private async ValueTask HoldAsync(TestRecord test, bool serve, CancellationToken cancellationToken)
    {
        if (test.Branch is { } branch)
        {
            await context.Branches.UseAsync(branch, new BranchUse(test.Id, $"test {test.VmName}"), serve, cancellationToken);
            return;
        }

        context.Views.Hold(test.Id, test.Point, $"test {test.VmName} of point {test.Point} stands (understudy job complete ends it)");
        if (serve)
        {
            await context.RunDisks.EnsureDaemonAsync(test.Id, test.Point, test.Disks, cancellationToken);
        }
    }

    private async ValueTask LetGoAsync(TestRecord test, CancellationToken cancellationToken)
    {
        if (test.Branch is { } branch)
        {
            await context.Branches.LeaveAsync(branch, test.Id, cancellationToken);
            return;
        }

        await context.RunDisks.StopDaemonAsync(test.Id, cancellationToken);
        context.Views.Release(test.Id);
    }

    private ValueTask MakeOverlaysAsync(TestRecord test, CancellationToken cancellationToken) => test.Branch is { } branch
        ? context.RunDisks.MakeOverlaysOverAsync(context.Branches.Find(branch).Disks, test.Disks, cancellationToken)
        : context.RunDisks.MakeOverlaysAsync(test.Id, test.Disks, bitmap: null, cancellationToken);

    /// <summary>What has to live for this guest: its own daemon, or its branch's.</summary>
    private WatchedGuest WatchedOf(TestRecord test) => test.Branch is { } id && context.Branches.Find(id) is var branch
        ? new WatchedGuest(branch.Id.Value, test.TestVm, test.VmName, branch.Point, branch.Disks) { OverlaysAreRead = true }
        : new WatchedGuest(test.Id, test.TestVm, test.VmName, test.Point, test.Disks);

    private static TestNetwork? BubbleOf(TestRecord test) =>
        test.Bubble is { } number ? TestNetwork.For(test.VmName, test.Id, number) : null;

    private TestStarted Describe(TestRecord test, IReadOnlyList<string> notes)
    {
        TestNetwork? bubble = BubbleOf(test);
        string[] network = bubble is null ? [] : [$"network {bubble.Name} on bridge {bubble.Bridge}"];
        return new TestStarted(
            test.VmName,
            bubble?.Name,
            [
                $"VM {test.VmName} ({test.TestVm})",
                .. network,
                $"storage daemon {ReplicaPlaces.RunDaemon(test.Id)} on {context.Places.RunSocket(test.Id)}",
                .. test.Disks.Select(disk => $"overlay {disk.Overlay}"),
                $"logs in {context.Places.LogFolder(test.VmName)}",
            ],
            notes);
    }
}
