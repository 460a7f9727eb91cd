using Understudy.Replication.Sending;

namespace Understudy.Replication.Tests.Transfer;

public sealed class SendWindowTests
{
    [Fact]
    public void Window_is_full_at_its_bytes_and_opens_with_the_acknowledgement()
    {
        SendWindow window = new(windowBytes: 100, acknowledged: 10);
        Assert.True(window.TryTake(11, 60));
        Assert.True(window.TryTake(12, 40));
        Assert.False(window.TryTake(13, 1));

        Assert.True(window.TryAcknowledge(11));
        Assert.Equal(40, window.UnacknowledgedBytes);
        Assert.True(window.TryTake(13, 60));
        Assert.Equal(13u, window.Sent);
    }

    [Fact]
    public void Record_larger_than_the_window_goes_alone()
    {
        SendWindow window = new(windowBytes: 100, acknowledged: 0);
        Assert.True(window.TryTake(1, 1000));
        Assert.False(window.TryTake(2, 1));
        Assert.True(window.TryAcknowledge(1));
        Assert.True(window.TryTake(2, 1));
    }

    [Fact]
    public void Acknowledgement_of_what_was_never_sent_or_that_goes_back_is_not_believed()
    {
        SendWindow window = new(windowBytes: 100, acknowledged: 10);
        Assert.True(window.TryTake(11, 10));
        Assert.False(window.TryAcknowledge(9));
        Assert.False(window.TryAcknowledge(12));
        Assert.Equal(10u, window.Acknowledged);
        Assert.True(window.TryAcknowledge(10));
        Assert.Equal(10, window.UnacknowledgedBytes);
    }

    [Fact]
    public void Number_of_records_out_is_bounded_too()
    {
        SendWindow window = new(windowBytes: long.MaxValue, acknowledged: 0);
        for (ulong sequence = 1; sequence <= SendWindow.MaxRecords; sequence++)
        {
            Assert.True(window.TryTake(sequence, 1));
        }

        Assert.False(window.TryTake(SendWindow.MaxRecords + 1, 1));
    }
}
