namespace Understudy.Protection.Ports;

/// <summary>Reads an image beside whoever has it open, and keeps nobody from opening it.</summary>
public interface IImageReader
{
    ValueTask<ServedImage> OpenAsync(string path, string format, CancellationToken cancellationToken);
}

/// <param name="Stream">An NBD conversation about the image, as its export of the empty name; for reading only.</param>
/// <param name="Server">What serves it; disposed after the stream.</param>
public sealed record ServedImage(Stream Stream, IAsyncDisposable Server);
