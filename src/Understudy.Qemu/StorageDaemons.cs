using System.Globalization;
using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Qemu.Native;
using Understudy.Qemu.Processes;

namespace Understudy.Qemu;

/// <summary>
/// qemu-storage-daemon processes of this host. They put themselves into the background (--daemonize returns when the
/// exports answer), so a kill of the agent leaves them alone. One is recognised by its pid file and by its whole command
/// line; between recognising and signalling, its start time guards against a process id used again.
/// </summary>
public sealed class StorageDaemons : IStorageDaemons
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const string PidSuffix = ".pid";

    /// <summary>Below it the kernel takes others first when memory runs out: a guest's disk hangs on this process.</summary>
    private const string SparedByTheOomKiller = "-900";

    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(20);

    private readonly QemuSettings _settings;
    private readonly ILogger<StorageDaemons> _logger;
    private readonly Action<int, int> _signal;

    public StorageDaemons(QemuSettings settings, ILogger<StorageDaemons> logger)
        : this(settings, logger, PosixCalls.Signal)
    {
    }

    /// <param name="signal">To a process by its id, as kill(2).</param>
    internal StorageDaemons(QemuSettings settings, ILogger<StorageDaemons> logger, Action<int, int> signal)
    {
        _settings = settings;
        _signal = signal;
        _logger = logger;
        Directory.CreateDirectory(settings.DaemonFolder);
    }

    public async ValueTask<StorageDaemonFacts> EnsureAsync(StorageDaemonSpec spec, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> command = StorageDaemonCommand.Build(_settings.StorageDaemonProgram, PidFile(spec.Name), spec);
        if (FindProcess(spec.Name) is { } running)
        {
            if (running.Arguments.SequenceEqual(command) && (!HasSocket(spec) || File.Exists(spec.SocketPath)))
            {
                Restrict(spec); // The agent that started it may have died before it came to this.
                Log.Adopted(_logger, spec.Name, running.Id);
                return new StorageDaemonFacts(spec.Name, running.Id, Adopted: true);
            }

            await EndAsync(spec.Name, running, cancellationToken);
        }

        return await StartAsync(spec, command, cancellationToken);
    }

    public async ValueTask StopAsync(string name, string socketPath, CancellationToken cancellationToken)
    {
        if (FindProcess(name) is { } running)
        {
            await EndAsync(name, running, cancellationToken);
        }

        File.Delete(PidFile(name));
        if (Directory.Exists(Path.GetDirectoryName(socketPath)))
        {
            File.Delete(socketPath);
        }
    }

    public ValueTask<StorageDaemonFacts?> FindAsync(string name, CancellationToken cancellationToken) =>
        new(FindProcess(name) is { } running ? new StorageDaemonFacts(name, running.Id, Adopted: true) : null);

    public ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken) =>
        new([.. Directory.EnumerateFiles(_settings.DaemonFolder, "*" + PidSuffix)
            .Select(file => Path.GetFileNameWithoutExtension(file))
            .Where(name => FindProcess(name) is not null)
            .Order(StringComparer.Ordinal)]);

    private async ValueTask<StorageDaemonFacts> StartAsync(StorageDaemonSpec spec, IReadOnlyList<string> command, CancellationToken cancellationToken)
    {
        if (HasSocket(spec))
        {
            LocalSockets.RequireShort(spec.SocketPath);
            Directory.CreateDirectory(Path.GetDirectoryName(spec.SocketPath)!); // Not null: RequireShort wants an absolute file path.
            File.Delete(spec.SocketPath);
        }

        await LaunchAsync(spec, command, cancellationToken);
        RunningProcess started = FindProcess(spec.Name)
            ?? throw new ImageToolException(FaultClass.Transient, $"The storage daemon {spec.Name} ended as soon as it had started.");
        Restrict(spec);
        Spare(spec.Name, started.Id);
        Log.Started(_logger, spec.Name, started.Id, spec.SocketPath);
        return new StorageDaemonFacts(spec.Name, started.Id, Adopted: false);
    }

    /// <summary>A predecessor that was killed holds the image's lock for a moment after it has stopped being visible as
    /// itself, so an image in use is tried again for as long as a stop may take.</summary>
    private async ValueTask LaunchAsync(StorageDaemonSpec spec, IReadOnlyList<string> command, CancellationToken cancellationToken)
    {
        long deadline = Environment.TickCount64 + (long)_settings.StopLimit.TotalMilliseconds;
        while (true)
        {
            try
            {
                await ToolRunner.RequireAsync(
                    [.. _settings.LaunchPrefix, .. command],
                    $"The storage daemon {spec.Name} did not start",
                    _settings.CommandLimit,
                    cancellationToken);
                return;
            }
            catch (ImageToolException locked) when (locked.Class == FaultClass.Transient && Environment.TickCount64 < deadline)
            {
                await Task.Delay(LockPause, cancellationToken);
            }
        }
    }

    private async ValueTask EndAsync(string name, RunningProcess process, CancellationToken cancellationToken)
    {
        if (!await ProcessTable.EndAsync(process, _settings.StopLimit, _signal, cancellationToken))
        {
            throw new ImageToolException(
                FaultClass.Transient,
                $"The storage daemon {name} (process {process.Id}) does not end although it was killed: the disk below it does not answer.",
                "See that the disk or share of its images works (dmesg); the daemon ends as soon as it does, or with a restart of the host.");
        }

        Log.Stopped(_logger, name, process.Id);
    }

    /// <summary>Only root, or only the guests' user, may connect: what is behind the socket is the content of a disk.</summary>
    private void Restrict(StorageDaemonSpec spec)
    {
        if (!HasSocket(spec))
        {
            return; // A FUSE export of ours is its user's alone.
        }

        File.SetUnixFileMode(spec.SocketPath, OwnerOnly);
        if (!spec.ForGuests || _settings.GuestUser is not { } user)
        {
            return;
        }

        uint id = PosixCalls.FindUser(user) ?? throw new ImageToolException(
            FaultClass.NeedsOperator,
            $"There is no user '{user}', which libvirt is said to run guests as.",
            "Set the guests' user to the one in libvirt's qemu.conf.");
        PosixCalls.GiveTo(spec.SocketPath, id);
    }

    private static bool HasSocket(StorageDaemonSpec spec) => spec.Exports.Any(export => export.File is null);

    private void Spare(string name, int processId)
    {
        try
        {
            File.WriteAllText($"/proc/{processId}/oom_score_adj", SparedByTheOomKiller);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            Log.NotSpared(_logger, name, refused.Message);
        }
    }

    private RunningProcess? FindProcess(string name)
    {
        string pidFile = PidFile(name);
        string text;
        try
        {
            text = File.ReadAllText(pidFile);
        }
        catch (IOException)
        {
            return null;
        }

        return int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out int id)
            && ProcessTable.Find(id) is { } process
            && process.Arguments.Contains(pidFile)
            ? process
            : null;
    }

    private string PidFile(string name) => Path.Combine(_settings.DaemonFolder, name + PidSuffix);
}
