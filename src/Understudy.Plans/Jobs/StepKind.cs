namespace Understudy.Plans;

/// <summary>What one step of a job does; stored with the job, so members are never renamed.</summary>
public enum StepKind
{
    CheckBothSides,
    CreateReplica,
    StartSource,
    FirstCopy,
    StartTest,
    AwaitTestCompletion,
    RemoveTest,
    AssessSource,
    StartAtTarget,
    CommitAtTarget,
    StopSource,
    RemoveReplica,
    ExportPoint,
}
