using System.Security.Cryptography;
using Understudy.Blocks;
using Understudy.Replication.Comparing;

namespace Understudy.Replication.Tests.Comparing;

public sealed class ContentSumTests
{
    [Fact]
    public void Sum_is_the_first_half_of_the_blocks_sha_256()
    {
        byte[] block = new byte[BlockSize.Bytes];
        new Random(1).NextBytes(block);
        byte[] written = new byte[ContentSum.SizeBytes];
        ContentSum.Of(block, block.Length).Write(written);
        Assert.Equal(SHA256.HashData(block)[..16], written);
        Assert.Equal(ContentSum.Of(block, block.Length), ContentSum.Read(written));
        Assert.True(ContentSum.Read(written).IsKnown);
        Assert.False(default(ContentSum).IsKnown);
    }

    [Theory]
    [InlineData(64)]
    [InlineData(128)]
    [InlineData(256)]
    [InlineData(512)]
    [InlineData(1024)]
    public void Block_the_disk_ends_in_counts_as_filled_up_with_zeros_so_that_growth_changes_nothing(int blockKilobytes)
    {
        byte[] block = new byte[blockKilobytes * 1024];
        new Random(2).NextBytes(block.AsSpan(0, 1536));
        Assert.Equal(ContentSum.Of(block, block.Length), ContentSum.Of(block.AsSpan(0, 1536), block.Length));
        Assert.Equal(ContentSum.Of(block, block.Length), ContentSum.Of(block.AsSpan(0, block.Length - 512), block.Length));
        Assert.Equal(ContentSum.OfZeros(block.Length), ContentSum.Of(new byte[512], block.Length));
        Assert.Equal(SHA256.HashData(new byte[block.Length])[..16], Bytes(ContentSum.OfZeros(block.Length)));
    }

    private static byte[] Bytes(ContentSum sum)
    {
        byte[] bytes = new byte[ContentSum.SizeBytes];
        sum.Write(bytes);
        return bytes;
    }
}
