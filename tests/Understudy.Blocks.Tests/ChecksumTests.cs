using System.Text;

namespace Understudy.Blocks.Tests;

public sealed class ChecksumTests
{
    [Fact]
    public void Crc32C_gives_the_published_check_value()
    {
        Assert.Equal(0xE3069283u, Crc32C.Compute("123456789"u8));
        Assert.Equal(0u, Crc32C.Compute([]));
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32])); // RFC 3720, B.4
    }

    [Fact]
    public void Crc32C_of_parts_is_the_one_of_the_whole_at_every_cut()
    {
        byte[] data = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("the quick brown fox ", 5)));
        uint whole = Crc32C.Compute(data);
        for (int cut = 0; cut <= data.Length; cut++)
        {
            Assert.Equal(whole, Crc32C.Append(Crc32C.Compute(data.AsSpan(0, cut)), data.AsSpan(cut)));
        }
    }

    [Fact]
    public void Block_sum_is_xxh3_128_in_canonical_form()
    {
        Assert.Equal("99aa06d3014798d86001c324468d497f", BlockSum.Of([]).ToString()); // xxHash's own test vector
        BlockSum sum = BlockSum.Of(new byte[BlockSize.Bytes]);
        byte[] stored = new byte[BlockSum.SizeBytes];
        sum.Write(stored);

        Assert.Equal(sum, BlockSum.Read(stored));
        Assert.Equal(sum.ToString(), Convert.ToHexStringLower(stored));
    }

    [Fact]
    public void Only_the_all_zero_sum_is_unknown()
    {
        Assert.False(BlockSum.Unknown.IsKnown);
        Assert.True(BlockSum.Of([]).IsKnown);
        Assert.Equal(BlockSum.Unknown, BlockSum.Read(new byte[BlockSum.SizeBytes]));
    }

    [Fact]
    public void One_changed_bit_changes_the_sum_wherever_it_is()
    {
        byte[] block = new byte[BlockSize.Bytes];
        BlockSum before = BlockSum.Of(block);
        for (int at = 0; at < block.Length; at += 997)
        {
            block[at] ^= 1;
            Assert.NotEqual(before, BlockSum.Of(block));
            block[at] ^= 1;
        }
    }

    [Fact]
    public void Zero_scan_sees_one_byte_at_any_place()
    {
        byte[] block = new byte[517];
        Assert.True(ZeroScan.IsZero(block));
        Assert.True(ZeroScan.IsZero([]));
        for (int at = 0; at < block.Length; at++)
        {
            block[at] = 1;
            Assert.False(ZeroScan.IsZero(block));
            block[at] = 0;
        }
    }
}
