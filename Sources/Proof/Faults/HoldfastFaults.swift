import ArgumentParser

@main
struct HoldfastFaults: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-faults",
        abstract: "Run Holdfast under faults, and judge what it left behind.",
        discussion: """
            Starts a private stack, submits jobs, and does to every part of it what a bad day does, all by a seed. The checker \
            then reads the clients' records, the value node's log, the tasks' trace and the SQL history, and knows nothing \
            of the code under test. Exits with 1 on any violation.
            """,
        subcommands: [Run.self, Simulate.self, TracedWorker.self] + planting,
        defaultSubcommand: Run.self
    )

    /// What a release build does not have: no bug can be planted there.
    private static var planting: [any ParsableCommand.Type] {
        #if DEBUG
            [PlantedBugsTable.self]
        #else
            []
        #endif
    }
}
