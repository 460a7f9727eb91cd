using System.CommandLine;
using Understudy.Agent;
using Understudy.Agent.Guard;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Libvirt;
using Understudy.Model;
using Understudy.Protection.Guard;
using Understudy.Qemu;

namespace Understudy.CommandLine.Nouns;

/// <summary>`understudy agent`: on each KVM host.</summary>
internal static class AgentCommand
{
    private static readonly Option<string?> _join = new("--join") { Description = "Registration key file: join this host to the vault that made it, then run" };
    private static readonly Option<bool> _joinOnly = new("--join-only") { Description = "Join and end; for installers" };
    private static readonly Option<string> _data = new("--data") { Description = "Folder for identity and state", DefaultValueFactory = _ => AgentConfig.DefaultDataFolder };
    private static readonly Option<string?> _name = new("--name") { Description = "Display name (default: full host name)" };
    private static readonly Option<string> _listen = new("--listen")
    {
        Description = "Where replication is taken in, ADDRESS:PORT",
        DefaultValueFactory = _ => $"0.0.0.0:{AgentConfig.DefaultPort}",
    };

    private static readonly Option<string?> _advertise = new("--advertise") { Description = "Where other hosts reach --listen, NAME:PORT (default: full host name)" };
    private static readonly Option<string> _libvirt = new("--libvirt") { Description = "Connection of the hypervisor", DefaultValueFactory = _ => "qemu:///system" };
    private static readonly Option<string?> _replicas = new("--replicas") { Description = "Folder for replicas (default: DATA/replicas)" };
    private static readonly Option<string?> _images = new("--images") { Description = "Folder for disks of replicas and recovered VMs (default: DATA/images)" };
    private static readonly Option<string?> _spool = new("--spool") { Description = "Folder for undelivered changes (default: DATA/spool)" };
    private static readonly Option<string> _run = new("--run") { Description = "Folder for sockets", DefaultValueFactory = _ => "/run/understudy" };
    private static readonly Option<string> _logs = new("--guest-logs") { Description = "Folder for serial logs of recovered guests", DefaultValueFactory = _ => "/var/log/libvirt/guests" };
    private static readonly Option<string?> _proxy = new("--proxy") { Description = "HTTP CONNECT proxy for all that the agent dials, the vault and other agents" };
    private static readonly Option<string?> _proxyExcept = new("--proxy-except") { Description = "Dialled straight all the same: names, suffixes (.lan), addresses, networks (10.0.0.0/8), with commas between" };
    private static readonly Option<string?> _visible = new("--visible")
    {
        Description = "Which VMs the vault may know of: all (default), none, or a rule such as 'web*,tag:prod,!web-old'; `understudy local set` changes it",
    };

    private static readonly Option<string> _hooks = new("--libvirt-hooks")
    {
        Description = "libvirt's folder of hooks, for the start guard",
        DefaultValueFactory = _ => GuardInstaller.DefaultHooksFolder,
    };

    private static readonly Option<bool> _remove = new("--remove") { Description = "Take the start guard away: from then on anything may start here" };

    public static Command Build(CommandFactory make)
    {
        Command agent = make.Verb(
            "agent", "Run the agent of this host (join first, once)", RunAsync,
            _join, _joinOnly, _data, _name, _listen, _advertise, _libvirt, _hooks, _replicas, _images, _spool, _run, _logs, _proxy, _proxyExcept, _visible);
        agent.Subcommands.Add(make.Verb(
            "install-guard", "Put the start guard into libvirt's hooks and see whether libvirt asks it (the agent does it by itself)", InstallGuardAsync, _data, _hooks, _libvirt, _remove));
        agent.Subcommands.Add(LocalSettingCommands.Vault(make));
        agent.Subcommands.Add(LeaveCommand.Build(make));
        return agent;
    }

    private static async Task<ExitCode> InstallGuardAsync(CommandContext c, CancellationToken cancellationToken)
    {
        string folder = HostServices.GuardFolderOf(Path.GetFullPath(c.Get(_data)!)); // has a default, as the others here
        HostBoot boot = HostBoot.Read();
        GuardInstaller installer = new(folder, c.Get(_hooks)!, boot);
        if (c.Get(_remove))
        {
            installer.Remove();
            return ExitCode.Done;
        }

        Directory.CreateDirectory(folder);
        TimeProvider time = TimeProvider.System;
        await using LibvirtHypervisor hypervisor = new(
            new LibvirtSettings { Uri = c.Get(_libvirt)!, ScratchFolder = folder }, time, new SystemIds(), new ImageTool(new QemuSettings { DaemonFolder = folder }), c.Logger);
        GuardTrial trial = new(new GuardFolder(new FolderStore(folder), boot.Id, boot.UpSeconds), hypervisor, time);
        GuardState state = await new GuardWatch(installer, trial, time, c.Logger).LookAsync(cancellationToken);
        if (state.Force == GuardForce.NotInstalled)
        {
            throw new ErrorException(new ErrorInfo(
                ErrorKind.Failed, "start-guard-off", "The start guard is not installed", state.Problem ?? "", "Run this as root on a host with libvirt."));
        }

        c.Io.Error.WriteLine(state.Problem ?? "the start guard is in force");
        return ExitCode.Done;
    }

    private static async Task<ExitCode> RunAsync(CommandContext c, CancellationToken cancellationToken)
    {
        string data = Path.GetFullPath(c.Get(_data)!); // has a default
        if (c.Get(_join) is { } keyFile)
        {
            JoinAnswers answers = await AskAsync(c, cancellationToken);
            AgentConfig config = ConfigOf(c, data) with { Proxy = answers.Proxy, Visible = answers.Visible };
            AgentMembership joined = await AgentJoin.JoinAsync(keyFile, data, answers.Name, config, cancellationToken);
            c.Io.Error.WriteLine($"joined {joined.VaultUrls[0]} as {joined.Name}, site {joined.Site}; the vault may know of {Known(answers.Visible)}");
        }

        if (c.Get(_joinOnly))
        {
            return ExitCode.Done;
        }

        await AgentHost.RunAsync(data, cancellationToken);
        return ExitCode.Done;
    }

    /// <summary>What joining asks for (REG-2), as far as no flag has said it; where nobody can answer, the defaults hold.</summary>
    private static async Task<JoinAnswers> AskAsync(CommandContext c, CancellationToken ct)
    {
        string? name = c.Get(_name);
        string? proxy = c.Get(_proxy);
        string? visible = c.Get(_visible);
        if (Asking.Can(c) && !c.Get(GlobalOptions.Yes))
        {
            name ??= await Asking.TextAsync(c, "Display name", AgentJoin.FullHostName(), ct);
            proxy ??= await Asking.TextAsync(c, "HTTP CONNECT proxy towards the vault", ProxyState.None, ct);
            visible ??= await Asking.TextAsync(c, "VMs the vault may know of (all, none, or a rule such as web*,tag:prod)", VmRule.AllText, ct);
        }

        return new JoinAnswers(name, proxy is null ? null : ProxyState.Checked(proxy), VmRule.Parse("--visible", visible ?? VmRule.AllText).Text);
    }

    private static string Known(string visible) => visible switch
    {
        VmRule.AllText => "all its VMs",
        VmRule.NoneText => "none of its VMs",
        _ => $"its VMs {visible}",
    };

    private sealed record JoinAnswers(string? Name, string? Proxy, string Visible);

    /// <summary>The flags of joining; afterwards agent.json in the data folder is what counts.</summary>
    private static AgentConfig ConfigOf(CommandContext c, string data)
    {
        string listen = c.Get(_listen)!; // has a default, as the others here
        return new AgentConfig
        {
            ProxyExcept = AgentSettings.CheckedExceptions(c.Get(_proxyExcept)),
            Listen = listen,
            Advertise = c.Get(_advertise) ?? $"{AgentJoin.FullHostName()}:{AgentJoin.EndPoint(listen).Port}",
            LibvirtUri = c.Get(_libvirt)!,
            HooksFolder = Path.GetFullPath(c.Get(_hooks)!),
            ReplicasFolder = Path.GetFullPath(c.Get(_replicas) ?? Path.Combine(data, "replicas")),
            ImagesFolder = Path.GetFullPath(c.Get(_images) ?? Path.Combine(data, "images")),
            SpoolFolder = Path.GetFullPath(c.Get(_spool) ?? Path.Combine(data, "spool")),
            GuestLogFolder = Path.GetFullPath(c.Get(_logs)!),
            RunFolder = Path.GetFullPath(c.Get(_run)!),
        };
    }
}
