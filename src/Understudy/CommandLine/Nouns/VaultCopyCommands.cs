using System.CommandLine;
using Understudy.Api.Rest;
using Understudy.Model;
using Understudy.Vault.Backup;

namespace Understudy.CommandLine.Nouns;

/// <summary>`understudy server restore|copy|copies`: the vault's own state, and getting it back (REG-8).</summary>
internal static class VaultCopyCommands
{
    private static readonly Option<string> _from = new("--from") { Description = "The copy: NAME.understudy-vault of a target host's vault-copies folder", Required = true };
    private static readonly Option<string> _key = new("--key") { Description = "recovery.key of the lost vault", Required = true };
    private static readonly Option<string> _data = new("--data") { Description = "New folder for the vault", DefaultValueFactory = _ => VaultAddress.DefaultDataFolder };

    public static Command Restore(CommandFactory make) => make.Verb(
        "restore", "Make a lost vault again from a copy of its state, on a machine that never had one", RestoreAsync, _from, _key, _data);

    public static Command Copy(CommandFactory make) => make.Verb(
        "copy", "Copy the vault's state to the target hosts now", async (c, ct) => c.Show(
            await c.Vault.CopyVaultAsync(ct), CommandContext.Types.VaultCopiesDto, List));

    public static Command Copies(CommandFactory make) => make.Verb(
        "copies", "List the copies of the vault's state that hosts keep", async (c, ct) => c.Show(
            await c.Vault.ListCopiesAsync(ct), CommandContext.Types.VaultCopiesDto, List));

    private static async Task<ExitCode> RestoreAsync(CommandContext c, CancellationToken ct)
    {
        RestoredVault restored = await VaultRestore.RunAsync(
            Path.GetFullPath(c.Get(_from)!), Path.GetFullPath(c.Get(_key)!), c.Get(_data)!, TimeProvider.System, ct); // required, or with a default
        RestoredVaultDto answer = new(restored.Vault, restored.TakenAt, restored.DataFolder, restored.Hosts, restored.EndedJobs);
        return c.Show(answer, CommandContext.Types.RestoredVaultDto, Write);
    }

    private static void Write(RestoredVaultDto vault, TextWriter output)
    {
        output.WriteLine($"vault {vault.Name}, as of {Show.Time(vault.TakenAt)}, is in {vault.DataFolder}");
        output.WriteLine($"  hosts: {(vault.Hosts.Count == 0 ? "none" : string.Join(", ", vault.Hosts))}");
        foreach (string job in vault.EndedJobs)
        {
            output.WriteLine($"  {job} was under way then: ended as failed; look at its VM, then retry it or give the command again");
        }

        output.WriteLine("Start it: understudy server --url https://NAME:PORT");
        output.WriteLine("Hosts find it by themselves under an address they know; otherwise on each: understudy agent vault --url https://NAME:PORT");
    }

    private static void List(VaultCopiesDto answer, TextWriter output)
    {
        Table table = new("host", "copy", "taken at", "size");
        foreach (VaultCopyDto copy in answer.Copies)
        {
            table.Row(copy.Host, copy.Name, Show.Time(copy.TakenAt), Show.Bytes(copy.Bytes));
        }

        table.WriteTo(output);
        output.WriteLine($"one each {answer.Every}; opened by the recovery key {answer.KeyId}");
    }
}
