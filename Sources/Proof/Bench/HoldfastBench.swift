import ArgumentParser

@main
struct HoldfastBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-bench",
        abstract: "Measure Holdfast against the limit of this machine.",
        discussion: """
            Each workload starts private servers, and measures their ceiling in the same run: the same statements, Redis \
            commands or requests with nothing around them. Figures are medians; the ratio to the ceiling says more than the \
            figure, for machines differ. Build it for release: swift build -c release
            """,
        subcommands: [
            All.self, SingleSubmissions.self, BulkSubmissions.self, Drain.self, Flooded.self, WhileOthers.self,
            HandOff.self, IdleLatency.self, ConcurrentHolds.self, Backlog.self, ReadyAmongWaiting.self,
            HeldSnapshot.self, ScaleOut.self, SplitSlots.self, IdleCost.self, StartUp.self, Locks.self, Holds.self,
            History.self, BenchWorker.self,
        ]
    )
}
