using Understudy.Journal.Records;

namespace Understudy.Journal.Views;

/// <summary>Codecs for readers that come at the same time; as many as have ever been in use at once.</summary>
internal sealed class CodecPool : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Stack<RecordCodec> _free = new();
    private bool _closed;

    public RecordCodec Rent()
    {
        lock (_lock)
        {
            return _free.TryPop(out RecordCodec? codec) ? codec : new RecordCodec();
        }
    }

    public void Return(RecordCodec codec)
    {
        lock (_lock)
        {
            if (!_closed)
            {
                _free.Push(codec);
                return;
            }
        }

        codec.Dispose();
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _closed = true;
            foreach (RecordCodec codec in _free)
            {
                codec.Dispose();
            }

            _free.Clear();
        }
    }
}
