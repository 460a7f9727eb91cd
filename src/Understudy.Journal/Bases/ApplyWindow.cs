using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Journal.Bases;

/// <summary>One block that apply is changing: what it was and what it becomes.</summary>
internal readonly record struct LoggedBlock(DiskId Disk, long Block, BlockSum OldSum, BlockSum NewSum);

/// <summary>
/// The blocks of one disk that are between old and new just now. While a window is open a reader takes either content, and
/// waits for its end when it meets neither (a write half done).
/// </summary>
internal sealed class ApplyWindow(LoggedBlock[] blocks)
{
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Done when the blocks are new and their sums too, or given up on.</summary>
    public Task Closed => _closed.Task;

    public bool Accepts(long block, BlockSum sum) => Find(block) is { } logged && (logged.OldSum == sum || logged.NewSum == sum);

    public bool Holds(long block) => Find(block) is not null;

    public void Close() => _closed.TrySetResult();

    /// <summary>Ascending by block.</summary>
    private LoggedBlock? Find(long block)
    {
        int low = 0;
        int high = blocks.Length - 1;
        while (low <= high)
        {
            int middle = low + ((high - low) / 2);
            int order = blocks[middle].Block.CompareTo(block);
            if (order == 0)
            {
                return blocks[middle];
            }

            (low, high) = order < 0 ? (middle + 1, high) : (low, middle - 1);
        }

        return null;
    }
}
