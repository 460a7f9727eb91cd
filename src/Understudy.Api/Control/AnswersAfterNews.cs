using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>
/// An operation is answered when the news of what it changed are on their way, in the same order: what the vault shows when
/// a job has ended is what the job did, and not what its hosts reported a second before.
/// </summary>
/// <param name="tell">Posts what has changed.</param>
internal sealed class AnswersAfterNews(IControlHandler operations, Action tell, PushQueue news) : IControlHandler
{
    public async Task<ResponseMessage> AnswerAsync(RequestMessage request, Action<ProgressMessage> progress, CancellationToken connectionEnded)
    {
        ResponseMessage response = await operations.AnswerAsync(request, progress, connectionEnded);
        if (request.Operation is not null)
        {
            tell();
            await news.WhenSentAsync().WaitAsync(connectionEnded);
        }

        return response;
    }

    public void Cancel(OperationId operation) => operations.Cancel(operation);

    public ValueTask OnPushAsync(PushMessage push, CancellationToken connectionEnded) => operations.OnPushAsync(push, connectionEnded);
}
