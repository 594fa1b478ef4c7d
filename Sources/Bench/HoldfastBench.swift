import ArgumentParser

@main
struct HoldfastBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-bench",
        abstract: "Measure Holdfast against the limit of this machine.",
        discussion: """
            Each workload starts private servers, and measures their ceiling in the same run: the same Redis commands by \
            redis-benchmark. Figures are medians; the ratio to the ceiling says more than the figure, for machines differ. \
            Build it for release: swift build -c release --product holdfast-bench
            """,
        subcommands: [
            DrainBench.self, Locks.self, Holds.self, HotKey.self, Depth.self, HistoryBench.self, IntakeBench.self,
            BenchWorker.self,
        ]
    )
}
