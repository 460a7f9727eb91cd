using Understudy.Model;
using Understudy.Protection.Source;

namespace Understudy.Agent;

/// <summary>What it holds of each VM.</summary>
internal sealed partial class SourceSide
{
    private sealed class RunningSource(SourceHost source, SourceOrder order, PeerReach reach, ILogger logger)
    {
        public SourceHost Source { get; } = source;

        public PeerReach Reach { get; } = reach;

        public SourceOrder Order { get; set; } = order;

        /// <summary>As the inventory saw it last; written by its loop, read by reports.</summary>
        public VmPower Power { get; set; } = VmPower.Running;

        public SourceReport Report(ImageSizes sizes) => SourceWords.Report(Source, Order, Power, sizes.Of) with { Link = new LinkInfo(Order.TargetDials ? null : Order.Endpoint) };

        public OwnedLoop Loop { get; } = new($"Replication of {source.Spec.VmName}", source.RunAsync, logger);
    }

    private sealed class RetiredVm(RetiredSource source, ILogger logger)
    {
        public RetiredSource Source { get; } = source;

        public OwnedLoop Loop { get; } = new($"Keeping the old copy of {source.Ownership.VmName} from running", source.RunAsync, logger);
    }
}
