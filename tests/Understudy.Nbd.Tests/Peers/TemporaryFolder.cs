namespace Understudy.Nbd.Tests.Peers;

/// <summary>A folder of its own for one test, with a short path because sockets live in it; gone afterwards.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("us-nbd-").FullName;

    public string File(string name) => System.IO.Path.Join(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
