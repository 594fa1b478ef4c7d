import ArgumentParser
import Holdfast
import Logging
import Postgres
import Redlock
import UnixSignals

/// The command `holdfast top`.
struct Top: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Watch queues, workers, lock nodes and holds, live.",
        discussion: """
            Drawn again each second; q or Ctrl-C ends it. Lock nodes are shown where HOLDFAST_LOCK_NODES is set. Jobs out \
            are those in, less what the queues have grown by. It counts every unfinished job at each look.

            Examples:
              holdfast top
              holdfast top --once
            """
    )

    private static let interval: Duration = .seconds(1)
    private static let quitKeys: Set<UInt8> = [UInt8(ascii: "q"), 0x03, 0x04]

    @Flag(help: "Print one picture, and end.") var once = false
    @Flag(help: "Print it as an object of JSON, and end.") var json = false
    @OptionGroup var nodes: NodeOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let flags = common.values.merging(nodes.values) { $1 }
        let settings = try await Settings(flags: flags, file: common.configurationFile)
        var logger = try settings.makeLogger("top")
        // The picture says what is away.
        logger.logLevel = .critical
        let lockNodes = settings.list("lock.nodes") == nil ? [] : try settings.lockNodes(logger)
        let pool = PostgresPool(configuration: try settings.database("top"), size: 1, logger: logger)
        defer { pool.close() }
        try await NodeRow.whileConnected(lockNodes) {
            guard !once, !json else {
                await NodeRow.connected(lockNodes, within: .seconds(2))
                if json { return try await Output.write(lines: [TopSnapshot.json(pool, lockNodes)]) }
                let snapshot = try await TopSnapshot.take(pool, lockNodes)
                return try Output.write(lines: try TopFrame.lines(snapshot, since: nil, rows: .max))
            }
            guard let screen = try TerminalScreen() else {
                throw ValidationError("There is no terminal to draw on; --once prints one picture.")
            }
            defer { TerminalScreen.restore() }
            await Self.watch(screen, pool, lockNodes)
        }
    }

    /// Draws until a key or a signal ends it.
    private static func watch(_ screen: TerminalScreen, _ pool: PostgresPool, _ nodes: [RedisLockNode]) async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                screen.draw(["holdfast   …"])
                var earlier: TopSnapshot?
                while !Task.isCancelled {
                    do {
                        let snapshot = try await TopSnapshot.take(pool, nodes)
                        screen.draw(try TopFrame.lines(snapshot, since: earlier, rows: TerminalScreen.size.rows))
                        earlier = snapshot
                    } catch {
                        guard !Task.isCancelled else { return }
                        screen.draw(["holdfast   \(error)".printable])
                    }
                    try? await Task.sleep(for: interval)  // Cancelled: the loop ends.
                }
            }
            await untilEnded(screen)
            group.cancelAll()
        }
    }

    private static func untilEnded(_ screen: TerminalScreen) async {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
        await withDiscardingTaskGroup { group in
            let (ends, end) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            group.addTask {
                // A terminal that has gone is as a key that ends it.
                while !Task.isCancelled, let keys = try? await screen.keys.next() {
                    if keys.contains(where: quitKeys.contains) { break }
                }
                end.yield()
            }
            group.addTask {
                for await _ in signals { break }
                end.yield()
            }
            for await _ in ends { break }
            group.cancelAll()
        }
    }
}
