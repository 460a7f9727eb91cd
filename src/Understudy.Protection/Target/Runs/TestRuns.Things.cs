using Understudy.Protection.Durable;
using Understudy.Protection.Target.Definition;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target.Runs;

/// <summary>Making and removing what a test consists of. Each removal is content with a thing that is not there.</summary>
internal sealed partial class TestRuns
{
    private async ValueTask MakeAsync(TestRecord test, TransformedDomain domain, CancellationToken cancellationToken)
    {
        await context.Pins.AddAsync(test.Id, test.Point, $"test {test.VmName}", cancellationToken);
        Hold(test);
        Task network = MakeNetworkAsync(test, cancellationToken); // Slow in libvirt (it starts dnsmasq); the disks go on meanwhile.
        try
        {
            await context.RunDisks.EnsureDaemonAsync(test.Id, test.Point, test.Disks, cancellationToken);
            await context.RunDisks.MakeOverlaysAsync(test.Id, test.Disks, bitmap: null, cancellationToken);
            await context.Services.Images.CreateFolderAsync(context.Places.LogFolder(test.VmName), cancellationToken);
        }
        finally
        {
            await network;
        }

        await context.Services.Hypervisor.DefineAsync(domain.Xml, cancellationToken);
        await context.Services.Hypervisor.StartAsync(test.TestVm, cancellationToken);
    }

    private async Task MakeNetworkAsync(TestRecord test, CancellationToken cancellationToken)
    {
        if (BubbleOf(test) is { } bubble)
        {
            await context.Services.Hypervisor.CreateNetworkAsync(bubble.Xml, cancellationToken);
        }
    }

    private async ValueTask RemoveAsync(TestRecord test, CancellationToken cancellationToken)
    {
        await SaveAsync(test = test with { Step = TestStep.Removing }, cancellationToken);
        await context.Services.Hypervisor.DestroyAsync(test.TestVm, cancellationToken);
        await context.Services.Hypervisor.UndefineAsync(test.TestVm, cancellationToken);
        if (BubbleOf(test) is { } bubble)
        {
            await context.Services.Hypervisor.DestroyNetworkAsync(bubble.Name, cancellationToken);
        }

        await context.RunDisks.StopDaemonAsync(test.Id, cancellationToken);
        await context.RunDisks.DeleteOverlaysAsync(test.Disks, cancellationToken);
        await DeleteLogsAsync(test, cancellationToken);
        await context.Pins.RemoveAsync(test.Id, cancellationToken);
        context.Views.Release(test.Id);
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

    private void Hold(TestRecord test) =>
        context.Views.Hold(test.Id, test.Point, $"test {test.VmName} of point {test.Point} stands (understudy job complete ends it)");

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
