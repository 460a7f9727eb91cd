using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Understudy.Vault.Storage;

/// <summary>The vault's database. A context lives for one unit of work and is never shared.</summary>
internal sealed class VaultDb(DbContextOptions<VaultDb> options) : DbContext(options)
{
    public DbSet<SettingRow> Settings => Set<SettingRow>();

    public DbSet<SiteRow> Sites => Set<SiteRow>();

    public DbSet<RegistrationKeyRow> RegistrationKeys => Set<RegistrationKeyRow>();

    public DbSet<HostRow> Hosts => Set<HostRow>();

    public DbSet<VmRow> Vms => Set<VmRow>();

    public DbSet<PolicyRow> Policies => Set<PolicyRow>();

    public DbSet<MappingRow> Mappings => Set<MappingRow>();

    public DbSet<StorageMappingRow> StorageMappings => Set<StorageMappingRow>();

    public DbSet<ProtectionRow> Protections => Set<ProtectionRow>();

    public DbSet<TestRow> Tests => Set<TestRow>();

    public DbSet<RetiredRow> Retired => Set<RetiredRow>();

    public DbSet<RpoRow> Rpo => Set<RpoRow>();

    public DbSet<JobRow> Jobs => Set<JobRow>();

    public DbSet<StepRow> Steps => Set<StepRow>();

    public DbSet<LeaseRow> Leases => Set<LeaseRow>();

    public DbSet<CleanupRow> Cleanups => Set<CleanupRow>();

    public DbSet<EventRow> Events => Set<EventRow>();

    public DbSet<TokenRow> Tokens => Set<TokenRow>();

    public DbSet<VaultCopyRow> VaultCopies => Set<VaultCopyRow>();

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        // SQLite cannot order its text form of times with offsets; whole milliseconds since 1970 order everywhere.
        configurationBuilder.Properties<DateTimeOffset>().HaveConversion<UnixMilliseconds>();
    }

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<SettingRow>().ToTable("settings").HasKey(row => row.Key);
        modelBuilder.Entity<SiteRow>().ToTable("sites").HasIndex(row => row.Name).IsUnique();
        modelBuilder.Entity<RegistrationKeyRow>().ToTable("registration_keys").HasIndex(row => row.SecretHash).IsUnique();
        modelBuilder.Entity<HostRow>().ToTable("hosts").HasIndex(row => row.Name).IsUnique();
        modelBuilder.Entity<VmRow>().ToTable("vms").HasKey(row => new { row.HostId, row.VmId });
        modelBuilder.Entity<VmRow>().HasIndex(row => row.Name);
        modelBuilder.Entity<VmRow>().HasIndex(row => row.VmId);
        modelBuilder.Entity<PolicyRow>().ToTable("policies").HasKey(row => row.Name);
        modelBuilder.Entity<MappingRow>().ToTable("mappings").HasKey(row => new { row.SourceSite, row.SourceNetwork, row.TargetSite });
        modelBuilder.Entity<StorageMappingRow>().ToTable("storage_mappings").HasKey(row => new { row.SourceSite, row.SourcePool, row.TargetSite });
        modelBuilder.Entity<ProtectionRow>().ToTable("protections").HasKey(row => row.VmId);
        modelBuilder.Entity<TestRow>().ToTable("tests").HasIndex(row => row.VmId);
        modelBuilder.Entity<RetiredRow>().ToTable("retired").HasKey(row => row.Replica);
        modelBuilder.Entity<RetiredRow>().HasIndex(row => row.VmId);
        modelBuilder.Entity<RpoRow>().ToTable("rpo").HasKey(row => new { row.VmId, row.At });
        modelBuilder.Entity<JobRow>().ToTable("jobs").HasIndex(row => row.State);
        modelBuilder.Entity<JobRow>().Property(row => row.Id).ValueGeneratedOnAdd();
        modelBuilder.Entity<StepRow>().ToTable("job_steps").HasKey(row => new { row.JobId, row.Number });
        modelBuilder.Entity<StepRow>().HasOne<JobRow>().WithMany(row => row.Steps).HasForeignKey(row => row.JobId);
        modelBuilder.Entity<LeaseRow>().ToTable("leases").HasKey(row => row.VmId);
        modelBuilder.Entity<LeaseRow>().Property(row => row.VmId).ValueGeneratedNever();
        modelBuilder.Entity<CleanupRow>().ToTable("cleanups").HasKey(row => row.OperationId);
        modelBuilder.Entity<CleanupRow>().HasIndex(row => row.HostId);
        modelBuilder.Entity<EventRow>().ToTable("events").Property(row => row.Id).ValueGeneratedOnAdd();
        modelBuilder.Entity<TokenRow>().ToTable("tokens").HasIndex(row => row.Hash).IsUnique();
        modelBuilder.Entity<VaultCopyRow>().ToTable("vault_copies").HasKey(row => new { row.HostId, row.Name });
    }

    private sealed class UnixMilliseconds() : ValueConverter<DateTimeOffset, long>(
        time => time.ToUnixTimeMilliseconds(),
        milliseconds => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds));
}
