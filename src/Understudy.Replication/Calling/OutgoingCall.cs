using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Calling;

/// <summary>
/// What a target says first on a connection that it has dialled: which replica it is for. Once the source has taken the call
/// the connection begins anew, as one that the source has dialled; so not a byte beyond the answer is read here.
/// </summary>
internal static class OutgoingCall
{
    /// <summary>Returns when the source has taken the call; throws <see cref="RefusedException"/> or
    /// <see cref="ConnectionLostException"/> when it has not.</summary>
    public static async ValueTask MakeAsync(
        Stream stream, ReplicaId replica, VmId vm, string software, TimeProvider time, CancellationToken cancellationToken)
    {
        using CancellationTokenSource deadline = new(ProtocolLimits.CallTime, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            byte[] words = [.. new Banner(ProtocolLimits.Version, software).Encode(), .. ControlFrameCodec.Encode(new ControlFrame.Call(replica, vm))];
            await stream.WriteAsync(words, either.Token);
            await stream.FlushAsync(either.Token);
            Banner banner = await HearBannerAsync(stream, either.Token);
            ControlFrame answer = await HearFrameAsync(stream, either.Token);
            Judge(banner, answer);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new ConnectionLostException($"the call was not answered within {ProtocolLimits.CallTime.TotalSeconds:0} s");
        }
        catch (Exception broken) when (broken is IOException or ObjectDisposedException)
        {
            throw new ConnectionLostException($"the connection broke while the source was called: {broken.Message}", broken);
        }
    }

    private static void Judge(Banner banner, ControlFrame answer)
    {
        if (answer is ControlFrame.Refuse refuse)
        {
            throw new RefusedException(refuse.Refusal, byPeer: true);
        }

        if (banner.ProtocolVersion != ProtocolLimits.Version)
        {
            throw new RefusedException(
                new Refusal(
                    RefusalCode.VersionUnsupported,
                    FaultClass.NeedsOperator,
                    $"the source speaks protocol version {banner.ProtocolVersion} (software {banner.Software}), this side only {ProtocolLimits.Version}",
                    "Bring both agents to the same release; the older one first."),
                byPeer: false);
        }

        if (answer is not ControlFrame.Answer)
        {
            throw Malformed($"{answer.GetType().Name} came where an answer to the call was expected");
        }
    }

    private static async ValueTask<Banner> HearBannerAsync(Stream stream, CancellationToken cancellationToken)
    {
        byte[] line = new byte[ProtocolLimits.BannerBytes];
        for (int length = 0; length < line.Length; length++)
        {
            await stream.ReadWholeAsync(line.AsMemory(length, 1), cancellationToken);
            if (line[length] == (byte)'\n')
            {
                return Banner.TryParse(line.AsSpan(0, length)) ?? throw Malformed("the first line is no banner of Understudy");
            }
        }

        throw Malformed("the first line is no banner of Understudy");
    }

    private static async ValueTask<ControlFrame> HearFrameAsync(Stream stream, CancellationToken cancellationToken)
    {
        byte[] frame = new byte[ControlFrameCodec.MaxFrameBytes];
        await stream.ReadWholeAsync(frame.AsMemory(0, ControlFrameCodec.HeaderBytes), cancellationToken);
        if (ControlFrameCodec.CheckHeader(frame.AsSpan(0, ControlFrameCodec.HeaderBytes), out int bodyBytes) is { } headerError)
        {
            throw Malformed(headerError);
        }

        await stream.ReadWholeAsync(frame.AsMemory(ControlFrameCodec.HeaderBytes, bodyBytes), cancellationToken);
        return ControlFrameCodec.Decode(frame.AsSpan(0, ControlFrameCodec.HeaderBytes + bodyBytes), out string? error)
            ?? throw Malformed(error ?? "a control frame is not understood");
    }

    private static RefusedException Malformed(string what) => new(Refusal.Malformed(what), byPeer: false);
}
