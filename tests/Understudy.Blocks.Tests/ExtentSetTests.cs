using Understudy.Testing;

namespace Understudy.Blocks.Tests;

public sealed class ExtentSetTests
{
    private const int Universe = 96;

    [Fact]
    public void Every_operation_agrees_with_an_array_of_booleans()
    {
        int seed = Seed.Next();
        Random random = new(seed);
        for (int round = 0; round < 200; round++)
        {
            (ExtentSet set, bool[] model) = (new ExtentSet(), new bool[Universe]);
            (ExtentSet other, bool[] otherModel) = (new ExtentSet(), new bool[Universe]);
            for (int step = 0; step < 60; step++)
            {
                bool onOther = random.Next(3) == 0;
                Mutate(random, onOther ? other : set, onOther ? otherModel : model);
                ByteRange probe = RandomRange(random);

                Check(model, set);
                Check([.. model.Zip(otherModel, (a, b) => a || b)], set.Union(other));
                Check([.. model.Zip(otherModel, (a, b) => a && b)], set.Intersect(other));
                Assert.Equal(Slice(model, probe).All(b => b), set.Contains(probe));
                Assert.Equal(Slice(model, probe).Any(b => b), set.Overlaps(probe));
                Check([.. model.Select((b, i) => b && probe.Contains(i))], set.Intersect(probe));
                Check([.. model.Select((_, i) => Slice(model, new ByteRange(i / 8 * 8, 8)).Any(b => b))], set.AlignedTo(8, Universe));
            }
        }
    }

    [Fact]
    public void Touching_ranges_become_one()
    {
        ExtentSet set = new([new(0, 10), new(20, 10), new(10, 10)]);

        Assert.Equal([new ByteRange(0, 30)], set.Ranges.ToArray());
        Assert.Equal(30, set.TotalBytes);
    }

    [Fact]
    public void Ranges_that_are_negative_or_overflow_are_refused()
    {
        ExtentSet set = new();

        Assert.Throws<ArgumentOutOfRangeException>(() => set.Add(new ByteRange(-1, 1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => set.Add(new ByteRange(1, -1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => set.Remove(new ByteRange(long.MaxValue, 2)));
    }

    private static void Mutate(Random random, ExtentSet set, bool[] model)
    {
        ByteRange range = RandomRange(random);
        bool add = random.Next(3) != 0;
        if (add)
        {
            set.Add(range);
        }
        else
        {
            set.Remove(range);
        }

        model.AsSpan((int)range.OffsetBytes, (int)range.LengthBytes).Fill(add);
    }

    private static ByteRange RandomRange(Random random)
    {
        int start = random.Next(Universe + 1);
        return new ByteRange(start, random.Next(Math.Min(Universe - start, 24) + 1));
    }

    private static bool[] Slice(bool[] model, ByteRange range) =>
        model[(int)range.OffsetBytes..(int)range.EndBytes];

    private static void Check(bool[] model, ExtentSet set)
    {
        bool[] seen = new bool[Universe];
        long previousEnd = -1;
        foreach (ByteRange range in set)
        {
            Assert.True(range.OffsetBytes > previousEnd, "ranges overlap, touch or are out of order");
            Assert.False(range.IsEmpty);
            previousEnd = range.EndBytes;
            seen.AsSpan((int)range.OffsetBytes, (int)range.LengthBytes).Fill(true);
        }

        Assert.Equal(model, seen);
        Assert.Equal(model.Count(b => b), set.TotalBytes);
    }
}
