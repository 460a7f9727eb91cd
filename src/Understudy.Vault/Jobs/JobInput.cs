using System.Text.Json.Serialization;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Jobs;

/// <summary>What the steps of a job need to know, fixed when the job is made.</summary>
/// <param name="Replica">The protection the job is about: a later one of the same VM is another.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "action")]
[JsonDerivedType(typeof(ProtectInput), "protect")]
[JsonDerivedType(typeof(TestInput), "test")]
[JsonDerivedType(typeof(FailoverInput), "failover")]
[JsonDerivedType(typeof(CommitInput), "commit")]
[JsonDerivedType(typeof(UnprotectInput), "unprotect")]
[JsonDerivedType(typeof(ExportInput), "export")]
internal abstract record JobInput(ReplicaId Replica);

internal sealed record ProtectInput(ReplicaId Replica) : JobInput(Replica);

internal sealed record TestInput(ReplicaId Replica, TestId Test, RecoveryPointId Point, string VmName, bool Isolated, IReadOnlyList<NicPlan> Nics)
    : JobInput(Replica);

internal sealed record FailoverInput(ReplicaId Replica, RecoveryPointId Point) : JobInput(Replica);

internal sealed record CommitInput(ReplicaId Replica) : JobInput(Replica);

internal sealed record UnprotectInput(ReplicaId Replica) : JobInput(Replica);

internal sealed record ExportInput(ReplicaId Replica, RecoveryPointId Point, string Folder, string Format) : JobInput(Replica);
