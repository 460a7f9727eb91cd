using Understudy.Simulation.Models;

namespace Understudy.Simulation.Checkers;

/// <summary>Whose points they are: who knows what the source held at each cut.</summary>
internal interface IPointOwner
{
    ModelVm Vm { get; }

    /// <summary>It was ordered at some time that a disk takes no part.</summary>
    bool LeavesDisksOut => false;

    /// <summary>Its end was ordered: its points may go at any moment, also under whoever reads one.</summary>
    bool IsEnding => false;

    void Violate(string checker, string what);
}
