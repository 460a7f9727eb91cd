namespace Understudy.Protection.Target.Branches;

/// <summary>Something that stands on a branch and is named when somebody wants to delete it.</summary>
internal readonly record struct BranchUse(Guid Run, string What);
