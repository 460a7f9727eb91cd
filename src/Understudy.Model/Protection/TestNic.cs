namespace Understudy.Model;

/// <summary>What becomes of one NIC in a test.</summary>
/// <param name="Mac">The NIC, by its address at the source.</param>
/// <param name="Network">A network of the target; null: unplugged, unless it is isolated.</param>
/// <param name="Isolated">On the network that is made for the test.</param>
/// <param name="NewMac">Null: kept on the test's own network; a new one elsewhere, where the original may be on the same wire.</param>
public sealed record TestNic(string Mac, string? Network, bool Isolated, string? NewMac = null);
