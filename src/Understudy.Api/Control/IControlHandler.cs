using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>What one end does with what the other end sends.</summary>
public interface IControlHandler
{
    /// <summary>Answers a request. The token ends the waiting, not the operation.</summary>
    Task<ResponseMessage> AnswerAsync(RequestMessage request, Action<ProgressMessage> progress, CancellationToken connectionEnded);

    /// <summary>The asker no longer wants the operation; unknown ones are ignored.</summary>
    void Cancel(OperationId operation);

    ValueTask OnPushAsync(PushMessage push, CancellationToken connectionEnded);
}

/// <summary>How asking an agent ended.</summary>
public abstract record AgentReply<T>
{
    private AgentReply()
    {
    }

    public sealed record Answered(T Value) : AgentReply<T>;

    public sealed record Refused(AgentError Error) : AgentReply<T>;

    /// <summary>The connection ended before the answer: nobody knows what was done. Ask again with the same operation id.</summary>
    public sealed record Lost : AgentReply<T>;
}
