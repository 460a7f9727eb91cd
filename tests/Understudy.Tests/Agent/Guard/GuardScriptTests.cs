using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Understudy.Agent.Guard;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Guard;
using Understudy.Protection.Ownership;

namespace Understudy.Tests.Agent.Guard;

/// <summary>The hook as it is installed, given domain XML as libvirt writes it. That libvirt heeds it is tested with libvirt.</summary>
public sealed class GuardScriptTests : IAsyncLifetime
{
    private static readonly string _boot = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();
    private static readonly VmId _vm = new(Guid.Parse("11111111-2222-4333-8444-555555555555"));
    private static readonly VmId _other = new(Guid.Parse("99999999-2222-4333-8444-555555555555"));
    private static readonly LineId _line = new(2, 7);

    private readonly string _folder = Directory.CreateTempSubdirectory("us-guard-").FullName;

    private string Hook => Path.Combine(_folder, "hook");

    private string Guard => Path.Combine(_folder, "guard");

    private string Disk => Path.Combine(_folder, "web1.qcow2");

    public ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(Guard);
        File.WriteAllText(Disk, "a disk");
        File.WriteAllBytes(Hook, GuardScript.For(Guard));
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_vm_that_no_file_names_is_never_hindered()
    {
        await PublishAsync(new OwnershipState.Elsewhere());
        Assert.Equal((0, ""), Start(_other, Path.Combine(_folder, "other.qcow2")));
    }

    [Theory]
    [InlineData("prepare")]
    [InlineData("migrate")]
    [InlineData("restore")]
    public async Task A_vm_that_is_owned_elsewhere_is_refused_with_the_reason(string operation)
    {
        await PublishAsync(new OwnershipState.Elsewhere());
        (int code, string words) = Start(_vm, Disk, operation);
        Assert.Equal(1, code);
        Assert.Contains("web1 may not be started on this host", words, StringComparison.Ordinal);
        Assert.Contains(_line.ToString(), words, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("started")]
    [InlineData("stopped")]
    [InlineData("release")]
    [InlineData("reconnect")]
    public async Task What_is_no_start_is_none_of_its_business(string operation)
    {
        await PublishAsync(new OwnershipState.Elsewhere());
        Assert.Equal((0, ""), Start(_vm, Disk, operation));
    }

    [Fact]
    public async Task A_vm_that_is_owned_here_is_started()
    {
        await PublishAsync(new OwnershipState.Here(_boot));
        Assert.Equal((0, ""), Start(_vm, Disk));
    }

    [Fact]
    public async Task A_fence_and_an_offer_refuse_the_owner_too()
    {
        await PublishAsync(new OwnershipState.Here(_boot, new Fence("planned failover", DateTimeOffset.UtcNow)));
        Assert.Contains("planned failover", Start(_vm, Disk).Words, StringComparison.Ordinal);
        await PublishAsync(new OwnershipState.Offered(new TransferId(Guid.NewGuid()), Guid.NewGuid(), new RecoveryPointId(_line, 5)));
        Assert.Contains("handed over", Start(_vm, Disk).Words, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_vm_on_the_same_disk_is_refused_under_whatever_name_it_is_found()
    {
        await PublishAsync(new OwnershipState.Elsewhere());
        string link = Path.Combine(_folder, "link.qcow2");
        File.CreateSymbolicLink(link, Disk);
        string hard = Path.Combine(_folder, "hard.qcow2");
        Process.Start("ln", [Disk, hard]).WaitForExit();
        foreach (string path in (string[])[Disk, link, hard, Path.Combine(_folder, ".", "guard", "..", "web1.qcow2")])
        {
            Assert.Equal((path, 1), (path, Start(_other, path).Code));
        }

        Assert.Equal(0, Start(_other, Path.Combine(_folder, "web1.qcow2.old")).Code);
    }

    /// <summary>With QEMU's own spellings of what an image stands on.</summary>
    [Theory]
    [InlineData("web1.qcow2")]
    [InlineData("FOLDER/web1.qcow2")]
    [InlineData("FOLDER/guard/../web1.qcow2")]
    [InlineData("file:FOLDER/web1.qcow2")]
    [InlineData("json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"FOLDER/web1.qcow2\"}}")]
    public async Task A_vm_on_an_overlay_over_the_disk_is_refused_however_many_overlays_are_between(string written)
    {
        await PublishAsync(new OwnershipState.Elsewhere());
        string first = Overlay("first.qcow2", written.Replace("FOLDER", _folder, StringComparison.Ordinal));
        string second = Overlay("second.qcow2", "first.qcow2");
        Assert.Equal(1, Start(_other, first).Code);
        Assert.Equal(1, Start(_other, second).Code);

        File.Delete(Disk); // known by its path
        Assert.Equal(written.Contains("..", StringComparison.Ordinal) ? 0 : 1, Start(_other, second).Code);
    }

    [Theory]
    [InlineData("other.qcow2")]
    [InlineData("nowhere.qcow2")]
    [InlineData("goes-round.qcow2")]
    [InlineData("nbd:unix:/run/web1.qcow2")]
    [InlineData("json:{\"driver\":\"nbd\",\"export\":\"vda\"}")]
    [InlineData("")]
    public async Task A_vm_on_an_overlay_over_something_else_is_not_hindered(string written)
    {
        await PublishAsync(new OwnershipState.Elsewhere());
        File.WriteAllText(Path.Combine(_folder, "other.qcow2"), "a disk of another VM");
        Assert.Equal((0, ""), Start(_other, Overlay("goes-round.qcow2", written)));
    }

    [Fact]
    public async Task A_guarded_disk_that_is_gone_is_known_by_its_path()
    {
        await PublishAsync(new OwnershipState.Elsewhere());
        File.Delete(Disk);
        Assert.Equal(1, Start(_other, Disk).Code);
    }

    [Fact]
    public async Task Names_with_spaces_quotes_and_signs_are_understood()
    {
        string odd = Path.Combine(_folder, "it's \"odd\" & <new>: $(reboot) disk x.qcow2");
        File.WriteAllText(odd, "a disk");
        await PublishAsync(new OwnershipState.Elsewhere(), odd);
        Assert.Equal(1, Start(_other, odd).Code);
        Assert.Equal(0, Start(_other, Path.Combine(_folder, "it's \"odd\"")).Code);
    }

    [Fact]
    public async Task After_a_boot_the_claim_is_void_until_it_was_validated()
    {
        await PublishAsync(new OwnershipState.Here("00000000-aaaa-4333-8444-555555555555"));
        (int code, string words) = Start(_vm, Disk);
        Assert.Equal(1, code);
        Assert.Contains("understudy local claim web1 --confirm FAILOVER", words, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-100, 0)] // began to wait 100 s ago
    [InlineData(-1, 1)]
    public async Task By_policy_it_is_started_when_nobody_has_answered_for_so_long(int began, int code)
    {
        await PublishAsync(new OwnershipState.Here("00000000-aaaa-4333-8444-555555555555"), Disk, TimeSpan.FromSeconds(60), UpSeconds() + began);
        Assert.Equal(code, Start(_vm, Disk).Code);
    }

    [Fact]
    public async Task By_policy_a_fence_does_not_end()
    {
        await PublishAsync(new OwnershipState.Here("another", new Fence("maintenance", DateTimeOffset.UtcNow)), Disk, TimeSpan.Zero);
        Assert.Equal(1, Start(_vm, Disk).Code);
    }

    [Fact]
    public async Task A_damaged_file_refuses_the_vm_it_names_and_no_other()
    {
        await PublishAsync(new OwnershipState.Here(_boot));
        string file = Path.Combine(Guard, _vm.ToString());
        string whole = File.ReadAllText(file);
        foreach (string damaged in (string[])["", whole[..(whole.Length / 2)], "something else", whole.Replace("allowed", "perhaps", StringComparison.Ordinal)])
        {
            File.WriteAllText(file, damaged);
            Assert.Contains("damaged", Start(_vm, Disk).Words, StringComparison.Ordinal);
            Assert.Equal((0, ""), Start(_other, Path.Combine(_folder, "other.qcow2")));
        }
    }

    [Fact]
    public void Without_a_folder_or_with_something_else_in_its_place_nothing_is_hindered()
    {
        Directory.Delete(Guard);
        Assert.Equal((0, ""), Start(_vm, Disk));
        File.WriteAllText(Guard, "not a folder");
        Assert.Equal((0, ""), Start(_vm, Disk));
    }

    [Fact]
    public void A_file_that_is_not_complete_yet_is_not_looked_at()
    {
        File.WriteAllText(Path.Combine(Guard, _vm + ".new"), $"disk {Disk}\n");
        Assert.Equal((0, ""), Start(_other, Disk));
    }

    [Fact]
    public async Task Two_thousand_guarded_vms_are_judged_with_less_than_a_second_of_work()
    {
        GuardFolder guard = new(new FolderStore(Guard), _boot, 0);
        for (int i = 0; i < 2000; i++)
        {
            await PublishAsync(new OwnershipState.Elsewhere(), Path.Combine(_folder, $"{i}.qcow2"), vm: new VmId(new Guid(i, 7, 7, new byte[8])), guard: guard);
        }

        string other = Path.Combine(_folder, "other.qcow2");
        File.WriteAllText(other, "a disk of another VM");
        string timed = Path.Combine(_folder, "timed"); // Not by the clock: the machine may have other things to do.
        File.WriteAllText(timed, $"sh {Hook} \"$@\"\ncode=$?\ntimes >&2\nexit $code\n");
        (int code, string words) = Start(_other, other, script: timed);
        Assert.Equal(0, code);
        double[] seconds = [.. Regex.Matches(words, @"(\d+)m([\d.]+)s")
            .Select(spent => (60 * double.Parse(spent.Groups[1].Value, CultureInfo.InvariantCulture)) + double.Parse(spent.Groups[2].Value, CultureInfo.InvariantCulture))];
        Assert.Equal(4, seconds.Length);
        Assert.InRange(seconds.Sum(), 0, 1);
    }

    /// <summary>As on a file server that does not answer: stat of such a path returns after half a minute.</summary>
    [Fact]
    public async Task A_guarded_disk_that_cannot_be_reached_holds_up_no_other_VM_and_the_others_are_judged_all_the_same()
    {
        string programs = Directory.CreateDirectory(Path.Combine(_folder, "programs")).FullName;
        string slow = Path.Combine(programs, "stat");
        File.WriteAllText(slow, "#!/bin/sh\ncase \"$*\" in *hangs*) exec sleep 120 ;; esac\nexec /usr/bin/stat \"$@\"\n");
        File.SetUnixFileMode(slow, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        string hangs = Path.Combine(_folder, "hangs.qcow2");
        string alias = Path.Combine(_folder, "alias.qcow2");
        File.CreateSymbolicLink(alias, Disk);
        string other = Path.Combine(_folder, "other.qcow2");
        File.WriteAllText(other, "a disk of another VM");
        GuardFolder guard = new(new FolderStore(Guard), _boot, 0);
        await PublishAsync(new OwnershipState.Elsewhere(), hangs, vm: new VmId(Guid.NewGuid()), guard: guard);
        await PublishAsync(new OwnershipState.Elsewhere(), Disk, guard: guard);

        long began = Stopwatch.GetTimestamp();
        Assert.Equal((0, ""), Start(_other, other, programs: programs));
        Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, 1, 60);
        Assert.Equal(1, Start(_other, alias, programs: programs).Code);
        Assert.Equal(1, Start(_other, hangs, programs: programs).Code);
    }

    [Fact]
    public async Task A_path_that_looks_like_a_pattern_is_a_path()
    {
        string odd = Path.Combine(_folder, "disk*.qcow2");
        string other = Path.Combine(_folder, "disk7.qcow2");
        File.WriteAllText(odd, "a disk");
        File.WriteAllText(other, "a disk of another VM");
        await PublishAsync(new OwnershipState.Elsewhere(), odd);
        Assert.Equal((0, ""), Start(_other, other));
        Assert.Equal(1, Start(_other, Path.Combine(_folder, ".", "disk*.qcow2")).Code);
    }

    [Fact]
    public void Who_called_is_noted_at_every_operation_and_once()
    {
        string note = Path.Combine(Guard, "asked-by");
        Start(_other, Disk, "reconnect");
        string[] fields = File.ReadAllText(note).Split(' ', '\n');
        Assert.Equal(_boot, fields[0]);
        Assert.Equal(Environment.ProcessId.ToString(CultureInfo.InvariantCulture), fields[1]);
        DateTime written = File.GetLastWriteTimeUtc(note);
        Start(_other, Disk);
        Assert.Equal(written, File.GetLastWriteTimeUtc(note));
        Assert.Equal(["asked-by"], Directory.EnumerateFiles(Guard).Select(Path.GetFileName));
    }

    private async Task PublishAsync(
        OwnershipState state, string? disk = null, TimeSpan? startsAfter = null, long? upSeconds = null, VmId? vm = null, GuardFolder? guard = null)
    {
        guard ??= new GuardFolder(new FolderStore(Guard), _boot, upSeconds ?? UpSeconds());
        guard.SetPolicy(vm ?? _vm, startsAfter);
        await guard.PublishAsync(
            OwnershipRules.Begin(vm ?? _vm, "web1", new ReplicaId(Guid.NewGuid()), Guid.NewGuid(), _line, [disk ?? Disk], state, DateTimeOffset.UtcNow), default);
    }

    /// <summary>The header of a qcow2 image, as far as it says what the image stands on.</summary>
    private string Overlay(string name, string backing)
    {
        byte[] words = System.Text.Encoding.UTF8.GetBytes(backing);
        byte[] header = new byte[112 + words.Length];
        "QFI"u8.CopyTo(header);
        header[3] = 0xfb;
        header[7] = 3;
        BinaryPrimitives.WriteUInt64BigEndian(header.AsSpan(8), words.Length == 0 ? 0 : 112u);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(16), (uint)words.Length);
        words.CopyTo(header, 112);
        string path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, header);
        return path;
    }

    private static long UpSeconds() =>
        (long)double.Parse(File.ReadAllText("/proc/uptime").Split(' ')[0], CultureInfo.InvariantCulture);

    /// <summary>As libvirt calls it; what it says goes to standard error only.</summary>
    private (int Code, string Words) Start(VmId vm, string disk, string operation = "prepare", string? programs = null, string? script = null)
    {
        string escaped = new System.Xml.Linq.XAttribute("file", disk).ToString();
        string value = escaped[(escaped.IndexOf('"', StringComparison.Ordinal) + 1)..^1].Replace("'", "&apos;", StringComparison.Ordinal);
        string xml =
            $"""
            <domain type='kvm'>
              <name>copy</name>
              <uuid>{vm}</uuid>
              <devices>
                <disk type='file' device='disk'>
                  <driver name='qemu' type='qcow2'/>
                  <source file='{value}' index='1'/>
                  <target dev='vda' bus='virtio'/>
                </disk>
              </devices>
            </domain>
            """;
        using Process hook = new()
        {
            StartInfo = new ProcessStartInfo("/bin/sh", [script ?? Hook, "copy", operation, "begin", "-"])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        if (programs is not null)
        {
            hook.StartInfo.Environment["PATH"] = $"{programs}:{Environment.GetEnvironmentVariable("PATH")}";
        }

        hook.Start();
        hook.StandardInput.Write(xml);
        hook.StandardInput.Close();
        string output = hook.StandardOutput.ReadToEnd();
        string words = hook.StandardError.ReadToEnd();
        hook.WaitForExit();
        Assert.Equal("", output);
        return (hook.ExitCode, words);
    }
}
